#![doc = include_str!("links.md")]
#![doc = include_str!("../docs/guide.md")]
//!
//! # More pages
//!
//! The modules below are the other guides. `cargo doc` shows them; a program cannot use them.
//!
//! ## In the repository
//!
//! Some pages link to files that are only in the repository of the project:
//!
//! | where | what |
//! |---|---|
//! | `examples/` | programs that use the library; units for systemd and a run script for runit |
//! | `crates/capi/` | the C headers, and example programs in C |
//! | `docs/aio.md`, `crates/aio/` | the calls of `<aio.h>`, for programs that use `aio_write` |
//! | `docs/ring.md`, `docs/ordering.md` | the protocol of the ring, and its memory orderings |
//! | `docs/testing.md`, `tests/`, `loom-tests/`, `shuttle-tests/`, `proof/`, `fuzz/` | the tests |
//! | `docs/shipping.md`, `crates/nats/` | a sink and a program for NATS JetStream: a log on other machines |
//! | `docs/platforms.md` | which systems it runs on, and what was run there |
//! | `docs/containers.md` | the tool in a container: process 1, sidecars, rings, exit codes |
//! | `docs/benchmarks.md` | figures, and how they were measured |
//! | `ARCHITECTURE.md`, `CONTRIBUTING.md` | what is where, and how to make a change |

// A page of docs/ has two kinds of readers. In the repository, its links lead to files; in the
// documentation of the crate, they must lead to modules. So each page gives names to its link
// targets, and defines the names at its end. links.md, which is included before each page here,
// defines the same names for the documentation. Markdown uses the first of two definitions.

/// Makes a page a module. Its examples are tests. If they need optional features, the module has
/// the page only with these features.
macro_rules! page {
    ($name:ident, $page:literal $(, $feature:literal)*) => {
        #[doc = include_str!("links.md")]
        #[cfg_attr(all($(feature = $feature),*), doc = include_str!(concat!("../docs/", $page)))]
        #[cfg_attr(
            not(all($(feature = $feature),*)),
            doc = "The documentation of the crate with all features has this page."
        )]
        pub mod $name {}
    };
}

// benches/comparison/migrating tests the examples of this page.
#[doc = include_str!("links.md")]
#[cfg_attr(not(doctest), doc = include_str!("../docs/migrating.md"))]
pub mod migrating {}

page!(alq9, "alq.md");
page!(c_api, "c-api.md");
page!(consistency, "consistency.md");
page!(format, "format.md");
page!(frames, "frames.md");
page!(
    integrations,
    "integrations.md",
    "log",
    "metrics",
    "tokio",
    "tracing"
);
page!(process, "process.md");
page!(reading, "reading.md", "read");
page!(recorder, "recorder.md");
page!(reliability, "reliability.md");
page!(rotation, "rotation.md", "zstd");
page!(tool, "tool.md");

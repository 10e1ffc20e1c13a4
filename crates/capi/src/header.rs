//! Tests that the headers match the Rust side. cbindgen generates declarations of the functions
//! from the source. The C compiler refuses declarations that differ from the headers, and compares
//! every size, offset and value that the headers rely on.

use std::fmt::Write;
use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::completion::SigEvent;
use crate::entries::Ale;
use crate::queue::AlqUndrained;
use crate::recorder::AlqDump;
use crate::stats::{AlqRecovery, AlqRefused, AlqStats};

/// The names of each type in Rust and in C.
const NAMES: [(&str, &str); 13] = [
    ("Alq", "alq"),
    ("Ale", "ale"),
    ("Ucred", "ucred"),
    ("AlqReq", "alq_req"),
    ("AlqLane", "alq_lane"),
    ("AlqStats", "alq_stats"),
    ("AlqRecovery", "alq_recovery"),
    ("AlqRefused", "alq_refused"),
    ("AlqDump", "alq_dumped"),
    ("AlqUndrained", "alq_undrained"),
    ("AlqOptionsCell", "alq_options"),
    ("Appender", "async_append"),
    ("SigEvent", "sigevent"),
];

fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Generates C declarations of all functions that Rust exports.
fn declarations() -> String {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Tag,
        no_includes: true,
        ..cbindgen::Config::default()
    };
    config.export.item_types = vec![cbindgen::ItemType::Functions];
    let renamed = NAMES.map(|(rust, c)| (rust.to_owned(), c.to_owned()));
    config.export.rename.extend(renamed);
    let library = crate_dir().join("src/lib.rs"); // cbindgen follows its modules
    let builder = cbindgen::Builder::new()
        .with_config(config)
        .with_src(library);
    let mut out = Vec::new();
    builder.generate().unwrap().write(&mut out);
    String::from_utf8(out).unwrap()
}

/// Adds a `_Static_assert` for the size of a type and for the offset of each member.
macro_rules! layout {
    ($out:ident, $rust:ty, $c:literal, $($member:ident $(as $c_member:ident)?),+) => {{
        let mut is = |what: String, value: usize| {
            writeln!($out, "_Static_assert({what} == {value}, \"{what}\");").unwrap();
        };
        is(format!("sizeof(struct {})", $c), size_of::<$rust>());
        $(is(
            format!("offsetof(struct {}, {})", $c, stringify!($member)),
            offset_of!($rust, $member),
        );)+
    }};
}

fn layouts() -> String {
    let mut out = String::new();
    layout!(out, Ale, "ale", ae_bytesused, ae_data, ae_pad);
    layout!(
        out,
        AlqUndrained,
        "alq_undrained",
        bytes,
        records,
        abandoned,
        cause,
        in_ring_file
    );
    layout!(
        out,
        AlqRecovery,
        "alq_recovery",
        bytes,
        spans,
        skipped,
        already_written,
        possibly_repeated,
        damaged,
        dumped,
        discarded
    );
    layout!(
        out,
        AlqRefused,
        "alq_refused",
        records,
        bytes,
        full,
        timed_out,
        headroom,
        held,
        too_large,
        failed,
        closed,
        forked,
        discarded
    );
    layout!(
        out,
        AlqDump,
        "alq_dumped",
        records,
        bytes,
        overwritten_records,
        overwritten_bytes,
        held
    );
    layout!(
        out,
        SigEvent,
        "sigevent",
        sigev_value,
        sigev_signo,
        sigev_notify,
        sigev_notify_function,
        sigev_notify_attributes
    );
    out + &layout_of_stats() + &values_of_flags()
}

fn layout_of_stats() -> String {
    let mut out = String::new();
    layout!(
        out,
        AlqStats,
        "alq_stats",
        capacity_bytes,
        fill_bytes,
        high_water_bytes,
        posted_bytes,
        posted_records,
        written_bytes,
        written_records,
        lost_bytes,
        lost_records,
        late_bytes,
        late_records,
        padding_bytes,
        refused_bytes,
        refused_records,
        refused_for_lanes,
        waits_writen_turn,
        waits_writen_room,
        waits_getn_turn,
        waits_getn_room,
        longest_wait_ns,
        held,
        oldest_held_bytes,
        abandoned,
        foreign,
        lanes,
        drains,
        wakeups,
        repeated_bytes,
        loss_line_bytes,
        stalled_ns,
        stalled_errno,
        last_errno,
        lost_errno,
        reserved,
        refused_for_stall,
        refused_for_failure,
        clamped_records,
        syncs,
        sync_failures,
        longest_sync_ns,
        synced_bytes,
        refused_full,
        refused_timed_out,
        refused_headroom,
        refused_held,
        refused_too_large,
        refused_closed,
        refused_forked,
        discarded_bytes,
        discarded_records,
        too_long_bytes,
        too_long_records,
        overwritten_bytes,
        overwritten_records
    );
    out
}

fn values_of_flags() -> String {
    let mut out = String::new();
    let flags = [
        ("ALQ_NOWAIT", alq::Flags::NOWAIT),
        ("ALQ_WAITOK", alq::Flags::WAITOK),
        ("ALQ_NOACTIVATE", alq::Flags::NOACTIVATE),
    ];
    for (name, value) in flags {
        writeln!(
            out,
            "_Static_assert({name} == {}, \"{name}\");",
            value.bits()
        )
        .unwrap();
    }
    out
}

/// Compiles `source` after the headers. Returns the messages of the C compiler if it fails.
fn compile(source: &str, dir: &Path) -> Result<(), String> {
    let file = dir.join("check.c");
    let includes = "#include \"alq.h\"\n#include \"async-append.h\"\n#include <stdbool.h>\n";
    // cbindgen prints types of the libc crate without `struct`.
    let types = "typedef struct timespec timespec;\n";
    fs::write(&file, [includes, types, source].concat()).unwrap();
    let output = Command::new("cc")
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            "-I",
        ])
        .arg(crate_dir().join("include"))
        .arg(&file)
        .output()
        .expect("a C compiler, cc, is needed");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn the_headers_declare_what_rust_has() {
    let dir = tempfile::tempdir().unwrap();
    let source = declarations() + &layouts();
    compile(&source, dir.path()).unwrap();
    // Each function is in a header.
    let headers = ["alq.h", "async-append.h"]
        .map(|name| fs::read_to_string(crate_dir().join("include").join(name)).unwrap())
        .concat();
    let declared = source.lines().filter_map(|line| line.split_once('('));
    let functions: Vec<&str> = declared
        .filter_map(|(head, _)| head.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("al") || name.starts_with("async"))
        .collect();
    assert!(functions.len() > 40, "{functions:?}");
    for name in functions {
        assert!(
            headers.contains(&format!("{name}(")),
            "{name} is in no header"
        );
    }
}

#[test]
fn a_wrong_header_is_detected() {
    let dir = tempfile::tempdir().unwrap();
    let other_argument = declarations().replace("int len,", "long len,");
    assert!(
        compile(&other_argument, dir.path())
            .unwrap_err()
            .contains("conflicting types")
    );
    let other_offset = layouts().replace("ae_data) == 8", "ae_data) == 16");
    assert!(
        compile(&other_offset, dir.path())
            .unwrap_err()
            .contains("static assertion failed")
    );
}

#[test]
fn the_header_has_the_version_of_the_library() {
    let header = fs::read_to_string(crate_dir().join("include/alq.h")).unwrap();
    let version = concat!("#define ALQ_VERSION \"", env!("CARGO_PKG_VERSION"), "\"\n");
    assert!(header.contains(version), "alq.h has no line {version}");
}

#!/usr/bin/env bash
# Builds the documentation, with private items, and fails on a broken link. Also builds the
# library's documentation as docs.rs does, and checks that each of its links leads to an existing
# page and place.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
rm -rf "$target/doc"
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features --document-private-items --locked

# docs.rs uses a nightly compiler and sets this cfg.
rm -rf "$target/doc/alq"
flags='--cfg docsrs -D warnings -Z unstable-options'
for crate in log metrics tokio tracing_core tracing_subscriber; do
    flags+=" --extern-html-root-url $crate=https://docs.rs/$crate/latest/"
done
RUSTDOC=$PWD/ci/rustdoc.sh RUSTDOCFLAGS=$flags cargo doc --workspace --no-deps --all-features --locked
ALQ_DOC=$(cd "$target/doc/alq" && pwd) cargo test --quiet --workspace --all-features --locked --test tidy -- \
    --ignored --nocapture links_of_the_documentation

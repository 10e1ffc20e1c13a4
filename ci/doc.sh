#!/usr/bin/env bash
# The documentation builds, private items too, without a broken link; and that of the library as docs.rs builds it.
set -euo pipefail
cd "$(dirname "$0")/.."
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features --document-private-items --locked
# docs.rs has a nightly compiler, and sets this cfg.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/docsrs
RUSTDOCFLAGS='--cfg docsrs -D warnings' cargo doc -p alq --no-deps --all-features --locked

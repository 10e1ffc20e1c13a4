#!/usr/bin/env bash
# The documentation builds, private items too, without a broken link; and that of the library as docs.rs builds it has no link
# to a page or a place that is not there, whoever wrote it.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$target/doc"
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features --document-private-items --locked

# docs.rs has a nightly compiler, and sets this cfg. Only rustdoc is made one, so that the dependencies stay as they are.
rm -rf "$target/doc/alq"
printf '#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc "$@"\n' >"$work/rustdoc"
chmod +x "$work/rustdoc"
flags='--cfg docsrs -D warnings -Z unstable-options'
for crate in log metrics tokio tracing_core tracing_subscriber; do
    flags+=" --extern-html-root-url $crate=https://docs.rs/$crate/latest/"
done
RUSTDOC=$work/rustdoc RUSTDOCFLAGS=$flags cargo doc --workspace --no-deps --all-features --locked
ALQ_DOC=$(cd "$target/doc/alq" && pwd) cargo test --quiet --workspace --all-features --locked --test tidy -- \
    --ignored --nocapture links_of_the_documentation

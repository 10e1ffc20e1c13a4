#!/usr/bin/env bash
# The documentation builds, private items too, without a broken link.
set -euo pipefail
cd "$(dirname "$0")/.."
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features --document-private-items --locked

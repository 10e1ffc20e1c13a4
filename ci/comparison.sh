#!/usr/bin/env bash
# Runs the comparison for the table of docs/reliability.md: what the most used non-blocking writer
# loses, and what this queue keeps. Fails if this queue loses anything. Then runs the examples of
# docs/migrating.md, which need the other crates too.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --quiet --locked --workspace --all-features --bench losses
cd benches/comparison
cargo test --locked -p alq-migrating --doc

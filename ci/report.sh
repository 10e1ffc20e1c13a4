#!/usr/bin/env bash
# Opens the page of `alq bench` in a browser: it is drawn, its tables match the JSON, and it loads
# no other file (crates/cli/tests/tool/report.rs). Skipped, with a message, without Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
export ALQ_CHROMIUM
if ! ALQ_CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome); then
    echo 'skipped: Chromium is not installed, so the page of alq bench is not checked'
    exit 0
fi
cargo test --locked --workspace --all-features --test tool report::

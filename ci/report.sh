#!/usr/bin/env bash
# The page of `alq bench` in a browser: it is drawn, its tables hold what the JSON holds, and it loads nothing (crates/cli/tests/report.rs).
# Without Chromium it says that it was skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
export ALQ_CHROMIUM
if ! ALQ_CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome); then
    echo 'skipped: no Chromium is here, so nobody looks at the page of alq bench'
    exit 0
fi
cargo test --locked --workspace --all-features --test report

#!/usr/bin/env bash
# The fuzz targets.
#
#     ci/fuzz.sh                the short form, on stable: what is recorded in fuzz/corpus, and some made up
#     ci/fuzz.sh SECONDS        each target so long under libFuzzer (nightly, and `cargo install cargo-fuzz`)
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
if [ $# = 0 ]; then
    cargo test --release --no-default-features --locked -- --nocapture
    exit
fi
for target in operations ring ring_file words; do
    # Into a folder of its own, beside what is recorded.
    mkdir -p "target/found/$target"
    cargo +nightly fuzz run --fuzz-dir . "$target" "target/found/$target" "corpus/$target" -- \
        -max_total_time="$1" -max_len=1200 -timeout=30 -print_final_stats=1
done

#!/usr/bin/env bash
# The fuzz targets. fuzz/corpus has a file a target: an input a line, in hexadecimal.
#
#     ci/fuzz.sh                the short form, on stable: what is recorded, and some made up
#     ci/fuzz.sh SECONDS        each target so long under libFuzzer (nightly, and `cargo install cargo-fuzz`)
#     ci/fuzz.sh record         adds what that has found to fuzz/corpus, reduced to what reaches something of its own
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
if [ $# = 0 ]; then
    cargo test --release --no-default-features --locked -- --nocapture
    exit
fi
for target in operations ring ring_file words; do
    # libFuzzer wants a file an input. What it finds goes into the same folder.
    inputs=target/inputs/$target
    mkdir -p "$inputs"
    n=0
    while read -r input; do
        # shellcheck disable=SC2059 # the format is the bytes, all of them escaped
        printf "$(sed 's/../\\x&/g' <<<"$input")" >"$inputs/recorded-$((n++))"
    done <"corpus/$target.hex"
    if [ "$1" = record ]; then
        cargo +nightly fuzz cmin --fuzz-dir . "$target" "$inputs"
        for input in "$inputs"/*; do
            od -An -v -tx1 "$input" | tr -d ' \n'
            echo
        done | LC_ALL=C sort -u >"corpus/$target.hex"
    else
        cargo +nightly fuzz run --fuzz-dir . "$target" "$inputs" -- \
            -max_total_time="$1" -max_len=1200 -timeout=30 -print_final_stats=1
    fi
done

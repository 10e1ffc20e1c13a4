#!/usr/bin/env bash
# Runs the fuzz targets. fuzz/corpus has one file for each target, with one input in hexadecimal on
# each line.
#
#     ci/fuzz.sh                       short form, on stable: recorded inputs and some generated ones
#     ci/fuzz.sh SECONDS [TARGET..]    runs each of them, or all, under libFuzzer, and says how many
#                                      inputs it ran (nightly, and `cargo install cargo-fuzz`)
#     ci/fuzz.sh record [TARGET..]     adds the inputs found by libFuzzer to fuzz/corpus, if they
#                                      reach new code
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
if [ $# = 0 ]; then
    cargo test --no-default-features --locked -- --nocapture
    exit
fi
form=$1
shift
[ $# -gt 0 ] || set -- chain frames operations ring ring_file words
for target; do
    [ -f "corpus/$target.hex" ] || { echo "$target is no target: see fuzz/README.md" >&2; exit 2; }
    # libFuzzer needs one file for each input. It adds the inputs that it finds to the same folder.
    inputs=target/inputs/$target
    mkdir -p "$inputs"
    n=0
    while read -r input; do
        # shellcheck disable=SC2059 # the format is the input itself, with every byte escaped
        printf "$(sed 's/../\\x&/g' <<<"$input")" >"$inputs/recorded-$((n++))"
    done <"corpus/$target.hex"
    if [ "$form" = record ]; then
        cargo +nightly fuzz cmin --fuzz-dir . "$target" "$inputs"
        for input in "$inputs"/*; do
            od -An -v -tx1 "$input" | tr -d ' \n'
            echo
        done | LC_ALL=C sort -u >"corpus/$target.hex"
    else
        cargo +nightly fuzz run --fuzz-dir . "$target" "$inputs" -- \
            -max_total_time="$form" -max_len=1200 -timeout=30 -print_final_stats=1
    fi
done

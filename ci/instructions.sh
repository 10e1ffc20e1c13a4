#!/usr/bin/env bash
# Counts the instructions of an append with callgrind. Fails if a count exceeds the one in
# benches/instructions/recorded.txt by more than 3 percent plus 1 instruction (at most 9 instructions). The count
# of a program is the same in every run and does not depend on the load of the machine.
#
#     ci/instructions.sh           compares
#     ci/instructions.sh record    writes benches/instructions/recorded.txt again
#     ci/instructions.sh framings  shows what each framing adds for the caller; nothing is compared
set -euo pipefail
cd "$(dirname "$0")/.."
recorded=benches/instructions/recorded.txt
compiler=$(rustc --version)

if ! command -v valgrind >/dev/null; then
    echo 'valgrind is not installed: instructions are not counted'
    exit 0
fi
features=()
[ "${1:-}" != framings ] || features=(--features frames)
cargo build --quiet --release --locked -p alq-instructions "${features[@]}"
program=${CARGO_TARGET_DIR:-target}/release/instructions
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Counts the instructions of one record of a case, in tenths.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='instructions::measured*' \
        "$program" "$1" >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
    # A thousand records: the total is in thousandths.
    awk '/Collected :/ { printf "%d\n", ($4 + 50) / 100 }' "$work/said"
}

cases='writen getn+post lane.writen thread.writen lane.getn+post writen-refused writen-recorder AsyncAppend.write'
if [ "${1:-}" = framings ]; then
    for case in writen getn+post lane.writen lane.getn+post; do
        for framing in '' /lines /lengths /checked; do
            echo "$case$framing $(count "$case$framing")" |
                awk '{ printf "%-24s %6.1f instructions\n", $1, $2 / 10 }'
        done
    done
    exit 0
fi
if [ "${1:-}" = record ]; then
    {
        echo "# Instructions a record of 100 bytes, in tenths, of which the copy has some; ci/instructions.sh record wrote it with"
        echo "# $compiler"
        for case in $cases; do echo "$case $(count "$case")"; done
    } >"$work/recorded"
    mv "$work/recorded" "$recorded"
    cat "$recorded"
    exit 0
fi

if ! grep -qF "# $compiler" "$recorded"; then
    echo "$recorded was written with another compiler than $compiler: not compared"
    exit 0
fi
failed=0
declare -A counted
for case in $cases; do
    was=$(awk -v case="$case" '$1 == case { print $2 }' "$recorded")
    is=$(count "$case")
    counted[$case]=$is
    slack=$((was * 3 / 100 + 10))
    [ "$slack" -le 90 ] || slack=90
    printf '%-18s %4d.%d instructions, recorded %d.%d\n' "$case" $((is / 10)) $((is % 10)) $((was / 10)) $((was % 10))
    if [ "$is" -gt $((was + slack)) ]; then
        echo "$case: more than $((slack / 10)).$((slack % 10)) more than recorded" >&2
        failed=1
    fi
done
if [ $((counted[writen-recorder] * 10)) -gt $((counted[writen] * 11)) ]; then
    echo 'an append to a full recorder takes more than 1.1 times the instructions of any other' >&2
    failed=1
fi
[ "$failed" = 0 ]

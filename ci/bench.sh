#!/usr/bin/env bash
# Runs every benchmark and writes the results to docs/benchmarks.md, docs/pictures/ and
# benches/results/. Needs one to two hours on an otherwise idle machine.
#
#     ci/bench.sh          runs everything
#     ci/bench.sh quick    runs each benchmark once with very little work: checks that it works and that
#                          every record is found. The figures mean nothing and are not kept
set -euo pipefail
cd "$(dirname "$0")/.."
started=$(date +%Y-%m-%d)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ALQ_BENCH_JSON=$work/results.jsonl
if [ "${1:-}" = quick ]; then
    export ALQ_BENCH_ROUNDS=1 ALQ_BENCH_SIZE=2
fi

# C++ spdlog takes part if it is installed.
cpp=benches/comparison/cpp
mkdir -p benches/comparison/target
if command -v g++ >/dev/null && [ -e /usr/include/spdlog/async.h ]; then
    g++ -O2 -std=c++17 -DSPDLOG_FMT_EXTERNAL "$cpp/spdlog.cpp" -o benches/comparison/target/spdlog -lfmt -lspdlog -lpthread
    export ALQ_BENCH_SPDLOG=$PWD/benches/comparison/target/spdlog
else
    echo 'spdlog for C++ is not installed (libspdlog-dev): the comparison leaves it out'
fi

shown=$work/shown
: >"$shown"
failed=0
show() { "$@" | tee -a "$shown" || failed=1; }
for bench in hot_path sustained lanes facade stalled interval idle; do
    show cargo bench --quiet --locked --bench "$bench"
done
for bench in durable ring_file; do # these print separate tables
    show cargo bench --quiet --locked --bench "$bench"
done
ALQ_BENCH_FENCE=1 show cargo bench --quiet --locked --bench lanes
compare() { cargo run --quiet --release --locked --manifest-path benches/comparison/Cargo.toml -- "$@"; }
if [ "${1:-}" = quick ]; then
    compare rounds || echo 'the lines above with "round" name the contestants that failed; others may fail without a fault here'
else
    show compare rounds
fi

cp docs/benchmarks.md "$work/benchmarks.md"
compare tables "$ALQ_BENCH_JSON" "$work/benchmarks.md"
# $1: the folder for the pictures.
draw() {
    cargo run --quiet --release --locked --manifest-path benches/comparison/Cargo.toml --bin plots -- \
        "$ALQ_BENCH_JSON" "$1" "$work/benchmarks.md"
}
if [ "${1:-}" = quick ]; then
    draw "$work/pictures"
    exit "$failed"
fi
draw docs/pictures
mkdir -p benches/results
mv "$ALQ_BENCH_JSON" "$work/$started.jsonl"
mv "$shown" "$work/$started.txt"
tar -C "$work" -cJf "benches/results/$started.tar.xz" "$started.jsonl" "$started.txt"
cp "$work/benchmarks.md" docs/benchmarks.md
echo "benches/results/$started.tar.xz and docs/benchmarks.md are written"
exit "$failed"

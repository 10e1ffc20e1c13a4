#!/usr/bin/env bash
# Tests the C library as a C user gets it: installed, found with pkg-config, linked dynamically and
# statically. Checks its headers (each alone, as C and as C++), its symbols, its tests (also under
# valgrind), and its examples.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { printf '%5d s  %s\n' "$SECONDS" "$*"; }

for tool in cc c++ pkg-config valgrind; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: run ci/tools.sh as root, or install it" >&2; exit 1; }
done
cargo test --quiet --locked --workspace --all-features --lib header::
say 'the headers match the Rust side'

prefix=$work/prefix
ci/install-capi.sh "$prefix"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
[ "$(pkg-config --modversion alq)" = "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" ]

strict=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror -g)
cflags=$(pkg-config --cflags alq)
c() { cc -std=c11 "${strict[@]}" $cflags "$@"; }
cxx() { c++ -x c++ -std=c++11 "${strict[@]}" $cflags "$@"; }
libs=(-pthread $(pkg-config --libs alq))
# Everything linked statically; and only this library.
static_libs=(-static -pthread $(pkg-config --static --libs alq))
only_alq_static=(-pthread "$prefix/lib/libalq.a" -ldl -lm)

# Each header alone, in both languages, without any feature macro.
for header in "$prefix"/include/*.h "$prefix"/include/sys/*.h; do
    echo "#include <${header#"$prefix/include/"}>" >"$work/alone.c"
    for standard in c99 c11 gnu17; do
        cc -std=$standard "${strict[@]}" $cflags -fsyntax-only "$work/alone.c"
    done
    for standard in c++11 c++20; do
        c++ -x c++ -std=$standard "${strict[@]}" $cflags -fsyntax-only "$work/alone.c"
    done
done
say 'each header compiles alone, as C and as C++'

# Both libraries export what the headers declare, and nothing else.
{
    grep -ohE '\b(alq|async_append)_[a-z0-9_]+\(' "$prefix"/include/*.h | tr -d '('
    echo ald_thread # from sys/alq.h
} | sort -u >"$work/functions"
nm -D --defined-only "$prefix/lib/libalq.so" | awk '{ print $3 }' | sort -u >"$work/shown"
nm -g --defined-only "$prefix/lib/libalq.a" | awk 'NF == 3 { print $3 }' | sort -u >"$work/shown-static"
diff "$work/functions" "$work/shown"
diff "$work/functions" "$work/shown-static"
readelf -d "$prefix/lib/libalq.so" | grep -q 'FLAGS_1.*NODELETE'
readelf -d "$prefix/lib/libalq.so" | grep -q 'SONAME.*\[libalq\.so\.0\]'
say "$(wc -l <"$work/shown") symbols, as declared in the headers"

# $1: how the test was built; $2: the test; $3..: the command that runs it.
run() {
    local how=$1 test=$2
    shift 2
    local out=$work/out
    if ! timeout 600 "$@" "$work/$test" >"$out" 2>&1; then
        echo "$test, $how: failed:" >&2
        cat "$out" >&2
        exit 1
    fi
}
memcheck=(valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,possible
    --errors-for-leak-kinds=definite,possible --fair-sched=try --suppressions=crates/capi/tests/valgrind.supp)
tests=(alq9 rest aio async_append vlog consumers ring_file recorder misuse process stress)
for test in "${tests[@]}"; do
    source=crates/capi/tests/$test.c
    cxx "$source" -o "$work/$test" "${libs[@]}"
    run 'as C++' "$test"
    c "$source" -o "$work/$test" "${only_alq_static[@]}"
    run 'alq linked statically' "$test"
    c "$source" -o "$work/$test" "${libs[@]}"
    run 'as C' "$test"
    ALQ_STRESS_RECORDS=2000 run 'under valgrind' "$test" "${memcheck[@]}"
    say "$test: as C, as C++, statically, under valgrind"
done
c crates/capi/tests/unload.c -o "$work/unload"
"$work/unload" "$prefix/lib/libalq.so" "$work/unload.log"
[ "$(cat "$work/unload.log")" = $'before\nafter' ]
say 'the library stays loaded after dlclose'

# A plug-in that contains the static library is unloaded as soon as it has closed its queues: none
# of its threads may run then.
c -fPIC -shared crates/capi/tests/plugin.c -o "$work/plugin.so" "${only_alq_static[@]}"
c crates/capi/tests/unload_plugin.c -o "$work/unload_plugin" -ldl
"$work/unload_plugin" "$work/plugin.so" "$work/plugin.log"
[ "$(grep -c '^a record$' "$work/plugin.log")" = 100 ]
say 'a plug-in can be unloaded once it has closed its queues'

# The program in the manual works.
sed -n '/^```c$/,/^```$/p' docs/c-api.md | sed '/^```/d' >"$work/manual.c"
c "$work/manual.c" -o "$work/manual" "${libs[@]}"
(cd "$work" && ./manual)
[ "$(cat "$work/app.log")" = 'a record' ]
say 'the program of docs/c-api.md'

# The lines in the README work as a program.
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$work/lines"
{
    grep '^#' "$work/lines"
    printf 'int main(void)\n{\n'
    grep -v '^#' "$work/lines"
    printf '}\n'
} >"$work/readme.c"
rm -f "$work/app.log"
c -Wno-conversion "$work/readme.c" -include stdio.h -o "$work/readme" "${libs[@]}"
(cd "$work" && ./readme)
[ "$(cat "$work/app.log")" = $'a record\nx=1' ]
say 'the lines of README.md'

# Every example does what its first lines say: as C, as C++, and linked statically.
check() {
    local example=$1 expected=$2 output=$3
    local source=crates/capi/examples/$example.c how
    for how in c cxx static; do
        case $how in
            static) c "$source" -o "$work/$example" "${static_libs[@]}" ;;
            *) $how "$source" -o "$work/$example" "${libs[@]}" ;;
        esac
        rm -f "$work"/example.log*
        "$work/$example" "$work/example.log" >"$work/example.said"
        grep -qE "$expected" "$work/example.said" || { echo "$example ($how) did not say '$expected'" >&2; exit 1; }
        grep -qaxE "$output" "$work"/example.log || { echo "$example ($how): no line '$output'" >&2; exit 1; }
        local code=0
        "$work/$example" 2>"$work/example.said" || code=$?
        [ $code = 2 ] && grep -q "^usage: $example FILE" "$work/example.said"
    done
    checked+=" $example"
    say "$example: as C, as C++, static"
}
checked=
check packet_log '^40000 packets, [0-9]+ skipped, [0-9]+ records written$' 'o,19900,192\.0\.2\.1,443,198\.51\.100\.2,[0-9]+,[0-9]+'
check driver_log '^10000 interrupts, [0-9]+ lost, [0-9]+ in the file$' '.*'
check daemon_log '^the daemon ended with status 0$' 'daemon\|INFO\|bye'
check journal '^16 changes on disk, in two files$' 'change 15'
for source in crates/capi/examples/*.c; do
    case "$checked " in
        *" $(basename "$source" .c) "*) ;;
        *) echo "$source is not checked by $0" >&2; exit 1 ;;
    esac
done
for source in crates/capi/tests/*.c; do
    case " ${tests[*]} unload plugin unload_plugin " in
        *" $(basename "$source" .c) "*) ;;
        *) echo "$source is not run by $0" >&2; exit 1 ;;
    esac
done

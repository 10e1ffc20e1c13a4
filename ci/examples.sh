#!/usr/bin/env bash
# Checks that every example does what its first lines say.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --examples --all-features --locked
target=${CARGO_TARGET_DIR:-target}
programs=$(cd "$target/debug/examples" && pwd)

# $1: the example; $2: a pattern that a line of its output must match; the rest: its arguments.
check() {
    local example=$1 expected=$2
    shift 2
    if ! "$programs/$example" "$@" >"$work/said" 2>&1; then
        echo "$example: failed:" >&2
        cat "$work/said" >&2
        exit 1
    fi
    if ! grep -qE "$expected" "$work/said"; then
        echo "$example: no line like '$expected' in:" >&2
        cat "$work/said" >&2
        exit 1
    fi
    # Without its file it prints its usage.
    local code=0
    "$programs/$example" >"$work/said" 2>&1 || code=$?
    if [ "$code" != 2 ] || ! grep -q "^usage: $example FILE" "$work/said"; then
        echo "$example: no usage error without arguments, but exit code $code" >&2
        exit 1
    fi
    checked+=" $example"
    echo "$example: as expected"
}

checked=
cd "$work"
(ulimit -c 0 && ! "$programs/crash_safe" crash.log 2>/dev/null) || { echo 'crash_safe: it survived' >&2; exit 1; }
check crash_safe '^[0-9]+ bytes were posted and not written; 0 may be in the log twice$' crash.log
check threads '^ +written_records: 4000,$' threads.log
check packet_log '^50000 packets, 50000 lines, ' packets.log 50000
check driver_log '^all accounted for$' trace.bin
check tracing_events '^4008 events: [0-9]+ written, [0-9]+ dropped$' events.log
check log_facade '^101 lines are in facade\.log, Lost \{ full: 0, [a-z_:0, ]* \}$' facade.log
check tokio_writer '^2000 records written$' tokio.log
check published_metrics '^Key\(alq_posted_records_total, \[queue = app\]\): Counter\(1000\)$' metrics.log
check rotate '^done: .*/rotated\.log\.[0-9]{8}T[0-9]{6}Z-[0-9]{6}\.gz$' rotated.log
check steady '^[0-9]+ records written; a call took [0-9]+ ns \(p50\)' steady.log 1000 1 nap
check service '^1001 records written, 0 dropped$' service.log
check vlog '^4007 lines in daemon.log.1, 4006 in daemon.log$' daemon.log

# $1: a file; $2: a pattern that a whole line of it must match.
has() {
    if ! grep -qxE "$2" "$1"; then
        echo "$1: no line '$2'" >&2
        exit 1
    fi
}
has threads.log 'worker 3 step 999, formatted in the ring'
has packets.log 'o,49999,192\.0\.2\.1,[0-9]+,198\.51\.100\.2,443,[0-9]+'
has daemon.log.1 'daemon\|ERR\|out of ports'
has events.log '.* WARN work\{worker=3\}: tracing_events: nothing left to do'
has service.log '.*ERROR service: panicked at .*'
has service.log 'request 500 hits a bug'
has service.log '.* INFO service: SIGTERM received: the service ends'
has facade.log 'ERROR log_facade:[0-9]+ out of steps'
has tokio.log 'copied, step 999'
has tokio.log 'formatted in the ring, step 999'
has rotated.log 'the first line of a new file'
has crash.log 'line 999'
has crash.log 'the last run was cut off'
[ "$(wc -l <crash.log)" = 1000 ] || { echo 'crash.log: not 1000 lines' >&2; exit 1; }
has daemon.log 'daemon\|EMER\|the end'

# Every example is checked.
cd - >/dev/null
for source in examples/*.rs; do
    example=$(basename "$source" .rs)
    case "$checked " in
        *" $example "*) ;;
        *)
            echo "$example: not checked by $0" >&2
            exit 1
            ;;
    esac
done

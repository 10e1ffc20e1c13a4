#!/usr/bin/env bash
# Checks byte for byte that the tool copies its input into a log: short inputs, ten million lines, a
# real log, and 256 MiB of random bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

. ci/tool.sh

# $1: a name; standard input: the bytes. The log must have the same sha256.
check() {
    rm -f "$work/out.log"
    tee "$work/in" | alq append "$work/out.log"
    local in out
    in=$(sha256sum <"$work/in")
    out=$(sha256sum <"$work/out.log")
    if [ "$in" != "$out" ]; then
        echo "$1: the log differs from its input" >&2
        exit 1
    fi
    echo "$1: $(stat -c %s "$work/out.log") bytes, equal"
}

check 'nothing' </dev/null
printf 'x' | check 'one byte'
printf 'a\nb' | check 'no newline at the end'
seq 10000000 | check 'ten million lines'
head -c $((256 << 20)) /dev/urandom | check '256 MiB of noise'
for log in /var/log/dpkg.log /var/log/apt/history.log /var/log/syslog /var/log/messages; do
    if [ -r "$log" ] && [ -s "$log" ]; then
        check "$log" <"$log"
        break
    fi
done
(
    trap '' PIPE
    for ((i = 0; i < 2000; i++)); do printf '%s' "$((i % 10))"; done
) | check 'one byte at a time'

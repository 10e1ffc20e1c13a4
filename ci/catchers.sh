#!/usr/bin/env bash
# Compares the tool with the log catchers multilog, svlogd, s6-log and rotatelogs: for the same
# input, the files of each hold the same lines together, with time stamps and without. A program
# that is not installed is skipped by name (ci/tools.sh installs them).
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

. ci/tool.sh
alq=$(command -v alq)
size=65536

# Lines of all lengths up to 300, also empty ones. Every 1000th line is longer than the part that
# multilog searches for a line end before it starts a new file.
awk 'BEGIN { for (i = 0; i < 20000; i++) {
    n = i % 1000 == 999 ? 5000 : i * 7919 % 300
    s = sprintf("%*s", n, ""); gsub(/ /, substr("abcdefghij", i % 10 + 1, 1), s); print s } }' >"$work/input"

# Lists the files with lines in a directory, oldest first: files of the tool, of multilog and
# similar programs, and of rotatelogs, whose first file has no number. $1: the directory.
list() {
    find "$1" -maxdepth 1 -type f \( -name 'log.[0-9]*' -o -name '@*.[su]' \) | LC_ALL=C sort >"$work/list"
    if grep -q 'log\.1$' "$work/list"; then
        echo "$1/log"
        sort -V "$work/list"
    else
        cat "$work/list"
        find "$1" -maxdepth 1 -type f \( -name log -o -name current \)
    fi
}
content() { list "$1" | xargs cat; }
# The number of files that end inside a line.
torn() { list "$1" | while read -r file; do [ ! -s "$file" ] || [ -z "$(tail -c1 "$file")" ] || echo "$file"; done | wc -l; }
longest() { list "$1" | xargs stat -c %s | sort -n | tail -1; }

# $1: a name; $2: 26 if lines are stamped, otherwise 0; the rest: the catcher, run in its directory.
check() {
    local how=$1 stamp=$2
    shift 2
    if ! command -v "$1" >/dev/null; then
        echo "$how: skipped, $1 is not installed"
        return
    fi
    local dir=$work/$how
    mkdir "$dir"
    printf 's%s\nn0\n' $size >"$dir/config" # the configuration of svlogd
    (cd "$dir" && "$@" <"$work/input")
    rm "$dir/config"
    content "$dir" | cut -b "$((stamp + 1))-" >"$work/found"
    if ! cmp "$work/input" "$work/found"; then
        echo "$how: the files are not the input" >&2
        exit 1
    fi
    local count
    count=$(list "$dir" | wc -l)
    [ "$count" -gt 20 ] || { echo "$how: $count files" >&2; exit 1; }
    printf '%-24s the same %s lines in %3s files, the longest of %6s bytes, %2s that end inside a line\n' \
        "$how" "$(wc -l <"$work/found")" "$count" "$(longest "$dir")" "$(torn "$dir")"
}

check alq 0 "$alq" append --quiet --rotate-size $size log
[ "$(torn "$work/alq")" = 0 ]
check multilog 0 multilog s$size n1000 ./
check svlogd 0 svlogd -l 300 ./
check s6-log 0 s6-log -b n1000 s$size ./
check rotatelogs 0 rotatelogs -n 1000 log ${size}B
check alq-stamped 26 "$alq" append --quiet --timestamp=tai64n --rotate-size $size log
[ "$(torn "$work/alq-stamped")" = 0 ]
check multilog-stamped 26 multilog t s$size n1000 ./
check svlogd-stamped 26 svlogd -t ./
check s6-log-stamped 26 s6-log -b t n1000 s$size ./

# tai64nlocal reads all stamps, and they are of the same hour.
if command -v tai64nlocal >/dev/null; then
    for how in alq multilog svlogd; do
        [ -d "$work/$how-stamped" ] || continue
        content "$work/$how-stamped" | sed -n 1p | TZ=UTC tai64nlocal | cut -b 1-13
    done | sort -u >"$work/hours"
    [ "$(wc -l <"$work/hours")" -le 2 ] || { echo 'the stamps are not from the same hour:' >&2; cat "$work/hours" >&2; exit 1; }
    echo 'tai64nlocal reads the stamps of all catchers'
fi

# Sends a signal in the middle of the input: nothing is lost, and the tool starts a new file after a
# whole line. $1: a name; $2: the signal; the rest: the catcher.
signalled() {
    local how=$1 signal=$2
    shift 2
    command -v "$1" >/dev/null || return 0
    local dir=$work/$how-signalled half
    mkdir "$dir"
    half=$(($(stat -c %s "$work/input") / 2))
    mkfifo "$work/fifo"
    (cd "$dir" && exec "$@" <"$work/fifo") &
    local pid=$!
    exec 9>"$work/fifo"
    head -c $half "$work/input" >&9
    until [ -n "$(find "$dir" -size +1k)" ]; do sleep 0.02; done
    kill "-$signal" $pid
    tail -c +$((half + 1)) "$work/input" >&9
    exec 9>&-
    wait $pid
    rm "$work/fifo"
    content "$dir" | cmp - "$work/input" || { echo "$how: $signal lost something" >&2; exit 1; }
    printf '%-24s SIG%s under load: nothing is lost, files: %s\n' "$how" "$signal" "$(list "$dir" | wc -l)"
}
signalled alq ALRM "$alq" append --quiet --rotate-on-signal --keep=10 log
[ "$(list "$work/alq-signalled" | wc -l)" = 2 ]
[ "$(torn "$work/alq-signalled")" = 0 ]
signalled multilog ALRM multilog s16777215 n1000 ./
signalled svlogd ALRM svlogd ./
signalled s6-log ALRM s6-log -b n1000 s16777215 ./

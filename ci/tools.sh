#!/usr/bin/env bash
# Programs of others that checks need, where they can be installed. Tests that need logrotate, runit, systemd or zstd skip themselves by
# name without them, and so does the comparison with other log catchers; without valgrind no instructions are counted; what the
# checks of the C library need they ask for (a C compiler is there wherever Rust is). Without
# Chromium nobody looks at the page of `alq bench`.
set -euo pipefail

# $1: the package; $2: a program of it.
want() {
    if ! command -v "$2" >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update && apt-get install -y --no-install-recommends "$1"; } >/dev/null 2>&1 ||
            echo "$1 cannot be installed here"
    fi
    command -v "$2" || true
}
want logrotate logrotate
want daemontools multilog
want runit runsv
want s6 s6-log
want apache2-utils rotatelogs
want zstd zstd
want g++ c++
want pkg-config pkg-config
want valgrind valgrind

#!/usr/bin/env bash
# Programs of others that checks need, where they can be installed. Without logrotate its tests skip themselves by name, and
# without valgrind no instructions are counted; what the checks of the C library need they ask for (a C compiler is there
# wherever Rust is). Without Chromium nobody looks at the page of `alq bench`.
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
want g++ c++
want pkg-config pkg-config
want valgrind valgrind

#!/usr/bin/env bash
# Installs the external programs that checks use, if that is possible. Without logrotate, runit,
# systemd or zstd, the tests that need them skip themselves by name, and so does the comparison with
# other log catchers. Without the programs that make file systems, tests of disks skip themselves.
# Without strace no loss of power is tested. Without musl-gcc and the compiler for 32 bits, the unit
# tests of other platforms do not run. Without valgrind no instructions are counted. Without
# Chromium the page of `alq bench` is not checked. The checks of the C library fail with a message if
# a program is missing.
set -euo pipefail

# $1: the package; $2: a program in it.
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
want btrfs-progs mkfs.btrfs
want xfsprogs mkfs.xfs
want g++ c++
want pkg-config pkg-config
want valgrind valgrind
want strace strace
want musl-tools musl-gcc
want gcc-i686-linux-gnu i686-linux-gnu-gcc
want libc6-i386 /lib/ld-linux.so.2

#!/usr/bin/env bash
# Programs of others that checks need, where they can be installed; elsewhere those checks skip themselves by name.
set -euo pipefail
if ! command -v logrotate >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends logrotate; } >/dev/null 2>&1 ||
        echo 'logrotate cannot be installed here: its tests are skipped'
fi
if ! command -v valgrind >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends valgrind; } >/dev/null 2>&1 ||
        echo 'valgrind cannot be installed here: instructions are not counted'
fi
command -v logrotate valgrind || true

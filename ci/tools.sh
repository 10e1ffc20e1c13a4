#!/usr/bin/env bash
# Programs of others that tests run against, where they can be installed; elsewhere those tests skip themselves by name.
set -euo pipefail
if ! command -v logrotate >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends logrotate; } >/dev/null 2>&1 ||
        echo 'logrotate cannot be installed here: its tests are skipped'
fi
command -v logrotate || true

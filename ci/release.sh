#!/usr/bin/env bash
# What need not hold for every change, but for every release: some minutes, most of them for compiling the tools.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${CARGO_TARGET_DIR:-target}/tools"
tools=$(cd "${CARGO_TARGET_DIR:-target}/tools" && pwd)
export PATH=$tools/bin:$PATH

. ci/step.sh
want() { command -v "$1" >/dev/null || cargo install --quiet --locked --root "$tools" "$1"; }

# Licences, sources, and two versions of one crate, as deny.toml has them.
deny() { cargo deny check licenses bans sources; }

advisories() {
    local code=0
    cargo deny fetch db || code=$?
    if [ "$code" != 0 ]; then
        echo 'the database of RustSec cannot be reached: advisories are not checked'
        return
    fi
    cargo deny check --disable-fetch advisories
}

# Any set of features, where ci/features.sh has each alone.
powerset() { cargo hack clippy -p alq --lib --feature-powerset --locked -- -D warnings; }

step ci/msrv.sh all
step ci/minimal.sh
step ci/package.sh
step want cargo-deny
step deny
step advisories
step want cargo-hack
step powerset
printf '\nall passed in %d s\n' "$SECONDS"

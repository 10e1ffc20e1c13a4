#!/usr/bin/env bash
# Runs the checks that each release needs, and not each change. Takes some minutes, mostly to
# compile the tools.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${CARGO_TARGET_DIR:-target}/tools"
tools=$(cd "${CARGO_TARGET_DIR:-target}/tools" && pwd)
export PATH=$tools/bin:$PATH

. ci/step.sh
want() { command -v "$1" >/dev/null || cargo install --quiet --locked --root "$tools" "$1"; }

# Checks licences, sources, and duplicate versions of a crate against deny.toml.
deny() { cargo deny check licenses bans sources; }

advisories() {
    local code=0
    cargo deny fetch db || code=$?
    if [ "$code" != 0 ]; then
        echo 'the RustSec database cannot be reached: advisories are not checked'
        return
    fi
    cargo deny check --disable-fetch advisories
}

# Checks every set of features; ci/features.sh checks each feature alone.
powerset() { cargo hack clippy -p alq --lib --feature-powerset --locked -- -D warnings; }

step ci/minimal.sh
step ci/package.sh
step want cargo-deny
step deny
step advisories
step want cargo-hack
step powerset
printf '\nall passed in %d s\n' "$SECONDS"

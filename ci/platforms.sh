#!/usr/bin/env bash
# Compiles the library for other platforms than this one, and runs its unit tests with musl, whose
# programs run here. A target that cannot be had is skipped by name. docs/platforms.md says what else
# was run.
#
#     ci/platforms.sh             all targets
#     ci/platforms.sh TARGET...   only these
set -euo pipefail
cd "$(dirname "$0")/.."
targets=("$@")
[ "${#targets[@]}" != 0 ] || targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-gnu
    i686-unknown-linux-gnu x86_64-unknown-freebsd aarch64-apple-darwin)

# In a folder apart: cargo locks the folder of the other checks while it compiles.
mkdir -p "${CARGO_TARGET_DIR:-target}/platforms"
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-target}/platforms" && pwd)
export CARGO_TARGET_DIR CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
export CC_x86_64_unknown_linux_musl=musl-gcc # one dependency, zstd, is written in C
say() { printf '%5d s  %s: %s\n' "$SECONDS" "$target" "$*"; }

for target in "${targets[@]}"; do
    if ! rustup target add "$target" >/dev/null 2>&1; then
        say 'skipped: rustup cannot install its standard library here'
        continue
    fi
    cargo check --quiet -p alq --lib --target "$target" --locked \
        --features frames,gzip,log,metrics,read,rotate,tokio,tracing
    say 'the library compiles'
    [ "$target" = x86_64-unknown-linux-musl ] || continue
    if ! command -v musl-gcc >/dev/null; then
        say 'unit tests are skipped: musl-gcc is missing (Debian: musl-tools)'
        continue
    fi
    cargo test --quiet -p alq --lib --all-features --target "$target" --locked
    say 'unit tests'
done

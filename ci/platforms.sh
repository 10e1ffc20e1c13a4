#!/usr/bin/env bash
# Compiles the library for other platforms than this one, and runs its unit tests with musl and with
# 32 bits, whose programs run here. A target that cannot be had is skipped by name.
# docs/platforms.md says what else was run.
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
export CC_x86_64_unknown_linux_musl=musl-gcc
export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc
features=$(awk '/^\[/ { on = $0 == "[features]" } on && /^[a-z]/ && $1 != "zstd" { print $1 }' Cargo.toml |
    paste -sd,) # zstd is written in C
say() { printf '%5d s  %s: %s\n' "$SECONDS" "$target" "$*"; }

for target in "${targets[@]}"; do
    if ! rustup target add "$target" >/dev/null 2>&1; then
        say 'skipped: rustup cannot install its standard library here'
        continue
    fi
    cargo check --quiet -p alq --lib --target "$target" --locked --features "$features"
    say 'the library compiles'
    case $target in
        x86_64-unknown-linux-musl) needs=musl-gcc package=musl-tools ;;
        i686-unknown-linux-gnu) needs=i686-linux-gnu-gcc package='gcc-i686-linux-gnu, libc6-i386' ;;
        *) continue ;;
    esac
    if ! command -v "$needs" >/dev/null; then
        say "unit tests are skipped: $needs is missing (Debian: $package)"
        continue
    fi
    cargo test --quiet -p alq --lib --target "$target" --locked --features "$features"
    say 'unit tests'
done

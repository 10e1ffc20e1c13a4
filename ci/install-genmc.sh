#!/usr/bin/env bash
# Builds GenMC 0.10.3 in target/genmc, for ci/proof.sh. It needs Debian's LLVM 19, which it installs
# if it may: minutes with two cores. The source is fetched from GitHub, at a fixed commit.
#
#     ci/install-genmc.sh [SOURCE]    SOURCE: a clone of github.com/MPI-SWS/genmc
set -euo pipefail
cd "$(dirname "$0")/.."
commit=c26195b35cc3508b803c0382bac5b4ed4c2233f5 # v0.10.3
source=${1:-https://github.com/MPI-SWS/genmc}
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update
    apt-get install -y --no-install-recommends llvm-19-dev clang-19 libclang-19-dev libffi-dev \
        libedit-dev libzstd-dev zlib1g-dev autoconf automake make g++ git
fi
target=${CARGO_TARGET_DIR:-target}/genmc
if [ ! -d "$target/.git" ]; then
    git clone --quiet "$source" "$target"
fi
cd "$target"
git checkout --quiet "$commit"
autoreconf --install
./configure --with-llvm=/usr/lib/llvm-19 --with-clang=clang-19 CXXFLAGS=-O2
make -j "$(nproc)"
./genmc --version

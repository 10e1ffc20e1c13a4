# Sourced by checks of the tool: builds `alq` as ci/test.sh does, so that nothing is compiled twice,
# and puts it first in PATH.
cargo build --quiet --locked --workspace --all-features --bin alq
PATH=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd):$PATH

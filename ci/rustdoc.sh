#!/bin/sh
# Runs rustdoc with its options of nightly, on any toolchain. For RUSTDOC: in the environment of
# cargo, RUSTC_BOOTSTRAP would make it compile all dependencies again.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"

//! The fuzz targets. Each is a function, so that plain tests can run it on the recorded corpus.

#[cfg(not(fuzzing))]
compile_error!(
    "the targets need `--cfg fuzzing`: run cargo in the fuzz folder, whose .cargo/config.toml \
     sets it"
);

mod bytes;
mod chain;
#[path = "../../tests/common/torture/desk.rs"]
mod desk;
mod frames;
#[path = "../../tests/model/mod.rs"]
mod model;
mod ring;
mod ring_file;
mod words;

pub use chain::chain;
pub use frames::frames;
pub use ring::ring;
pub use ring_file::ring_file;
pub use words::words;

use model::{Op, Settings};

/// A sequence of operations on a whole queue, against the model of tests/operations.rs.
pub fn operations(bytes: &[u8]) {
    let (settings, rest) = bytes.split_at_checked(Settings::LEN).unwrap_or_default();
    let settings = settings
        .try_into()
        .map(Settings::decode)
        .unwrap_or_default();
    // The check of the order takes quadratic time.
    let ops = rest.chunks_exact(Op::LEN).take(300);
    let ops: Vec<Op> = ops.map(|op| Op::decode(op.try_into().unwrap())).collect();
    model::run(settings, &ops);
}

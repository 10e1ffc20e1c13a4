//! `alq-nats recover`.

use std::path::PathBuf;

use alq::ring_file;
use clap::Args;

use crate::To;

#[derive(Args, Debug)]
pub struct Options {
    /// Ring file that no process has open
    #[arg(value_name = "RING")]
    ring: PathBuf,
    #[command(flatten)]
    to: To,
}

/// Publishes what is in the ring file, and says how much that was.
pub fn run(options: &Options) -> Result<(), String> {
    let Options { ring, to } = options;
    let shown = ring.display();
    let state = ring_file::inspect(ring).map_err(|error| format!("{shown}: {error}"))?;
    let sizes = match state.fixed {
        Some((len, count)) => alq::Options::new().fixed(len, count),
        None => alq::Options::new().capacity(state.capacity_bytes as usize),
    };
    let queue = sizes.ring_file(ring).ring_on_disk(true);
    let queue = queue.open_sink(to.connect(false)?);
    let queue = queue.map_err(|error| format!("{shown}: {error}"))?;
    let found = queue.recovery().copied().unwrap_or_default();
    queue
        .close(None)
        .map_err(|error| format!("{}: {error}; {shown} keeps what is not stored", to.place()))?;
    println!(
        "{shown}: found {} bytes, {} of them stored already; the rest is stored now in {}",
        found.bytes,
        found.already_written_bytes,
        to.place()
    );
    if found.damaged_slots > 0 {
        return Err(format!(
            "{shown}: {} slots are damaged, and lost",
            found.damaged_slots
        ));
    }
    Ok(())
}

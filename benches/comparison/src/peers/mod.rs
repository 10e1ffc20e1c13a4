//! The contestants from crates.io, a file each, set up as their documentation advises for many
//! records to one file, with room for 8192 records or 1 MiB where they let one choose.

mod bbqueue;
mod crossbeam;
mod emit_file;
mod fast_log;
mod flexi_logger;
mod ftlog;
mod logforth;
mod nexus_logbuf;
mod slog_async;
mod spdlog;
mod spdlog_rs;
mod thingbuf;
mod tracing_appender;

use alq_measure::contestant::Contestant;

/// Records that a queue of records has room for.
const RECORDS: usize = 8192;

/// The buffer between a queue of records and the file, if the benchmark chooses it.
const BUFFER: usize = 1 << 16;

pub fn all() -> Vec<Contestant> {
    let mut all = vec![
        Contestant::of::<bbqueue::BBQueue>(),
        Contestant::of::<nexus_logbuf::NexusLogbuf>(),
        Contestant::of::<thingbuf::ThingBuf>(),
        Contestant::of::<crossbeam::Channel>(),
        Contestant::of::<tracing_appender::Lossless>(),
        Contestant::of::<tracing_appender::Buffered>(),
        Contestant::of::<tracing_appender::Lossy>(),
        Contestant::of::<flexi_logger::FlexiLogger>(),
        Contestant::of::<slog_async::SlogAsync>(),
        Contestant::of::<spdlog_rs::SpdlogRs>(),
        Contestant::of::<fast_log::FastLog>(),
        Contestant::of::<ftlog::FtLog>(),
        Contestant::of::<logforth::Logforth>(),
        Contestant::of::<emit_file::EmitFile>(),
    ];
    all.extend(spdlog::if_built());
    all
}

/// A record as text without its newline, for a log that adds one.
fn text(record: &[u8]) -> &str {
    let line = &record[..record.len() - 1];
    // SAFETY: the records of the benchmarks are ASCII (`Records`), which is UTF-8. A check would
    // add some ns to the contestant's time.
    unsafe { std::str::from_utf8_unchecked(line) }
}

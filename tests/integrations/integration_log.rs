//! Each call of the `log` macros becomes one whole line in the log; otherwise the line is counted
//! as lost.

use std::fmt::{self, Write};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use crate::common::child::in_child;
use crate::common::sink::{Script, queue_to};
use crate::common::{Log as LogFile, NEVER_STALLS, TRY, parse, small, spawn, wait_for};
use alq::log::{Logger, plain};
use alq::{Flags, Options, Queue, Sink, SyncOp};
use log::{Level, LevelFilter, Log, Record};

/// Writes only the message.
fn bare(out: &mut dyn Write, record: &Record<'_>) -> fmt::Result {
    write!(out, "{}", record.args())
}

fn log(logger: &Logger, level: Level, message: fmt::Arguments<'_>) {
    let record = Record::builder().level(level).args(message).build();
    logger.log(&record);
}

fn shut(options: Options) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.shut_write();
    (queue_to(&script, options), script)
}

#[test]
fn the_macros_write_whole_lines_and_a_flush_waits() {
    in_child("the_macros_write_whole_lines_and_a_flush_waits", || {
        let file = LogFile::new();
        let queue = file.open(Options::new().stall_limit(Some(NEVER_STALLS)));
        let format = |out: &mut dyn Write, record: &Record<'_>| {
            writeln!(out, "[{}] {}", record.level(), record.args())
        };
        let logger = Logger::new(&queue).level(LevelFilter::Info).format(format);
        let logger = logger.install().unwrap();
        assert!(Logger::new(&queue).install().is_err());
        for round in 1..=20 {
            log::info!("round {round}");
            log::debug!("not at this level");
            log::logger().flush();
            assert_eq!(file.text().lines().count(), round);
        }
        assert!(log::log_enabled!(Level::Info) && !log::log_enabled!(Level::Debug));
        assert!(file.text().ends_with("[INFO] round 20\n"));
        assert_eq!(logger.lost(), alq::log::Lost::default());
        queue.close(None).unwrap();
        log::error!("after the close");
        assert_eq!(logger.lost().closed, 1);
    });
}

/// Debug records stay in the recorder until an error comes, and stand before it. An error that
/// nothing led to dumps nothing.
#[test]
fn a_recorder_takes_debug_and_is_dumped_before_an_error() {
    let file = LogFile::new();
    let queue = file.open(small());
    let recorder = file.open(small().recorder(true));
    let logger = Logger::new(&queue).recorder(&recorder, Level::Debug);
    let logger = logger.drop_above(Level::Debug, 1); // that is for the queue
    let logger = logger.format(|out, record| writeln!(out, "{}", record.args()));
    log(&logger, Level::Info, format_args!("info"));
    logger.flush();
    for i in 0..1000 {
        log(&logger, Level::Debug, format_args!("debug {i}"));
        log(&logger, Level::Trace, format_args!("trace {i}"));
    }
    logger.flush();
    assert_eq!(file.text(), "info\n");
    for number in 1..=2 {
        log(&logger, Level::Error, format_args!("error {number}"));
    }
    logger.flush();
    let text = file.text();
    assert!(text.starts_with("info\n--- 64 records ("), "{text}");
    assert!(
        text.contains("; 1936 older ones were overwritten; reason: error in "),
        "{text}"
    );
    assert!(
        text.ends_with("\ntrace 998\ndebug 999\ntrace 999\nerror 1\nerror 2\n"),
        "{text}"
    );
    assert_eq!((text.lines().count(), logger.lost().total()), (68, 0));
}

/// Short lines and lines that are longer than the stack's buffer, from four threads, on a ring that
/// is often full.
#[test]
fn under_load_every_line_is_there_once() {
    const EACH: u32 = 3000;
    let file = LogFile::new();
    let queue = file.open(small());
    let logger = Logger::new(&queue).format(bare);
    thread::scope(|scope| {
        for writer in 0..4 {
            let logger = &logger;
            scope.spawn(move || {
                let mut numbers = crate::common::Numbers::new(writer);
                for seq in 0..EACH {
                    let len = crate::common::Record::MIN_LEN + numbers.below(900);
                    let text = crate::common::Record { writer, seq, len }.text();
                    let (head, tail) = text.split_at(len / 2);
                    log(logger, Level::Info, format_args!("{head}{tail}"));
                }
            });
        }
    });
    logger.flush();
    crate::common::assert_complete(&parse(&file.bytes()), &[EACH; 4]);
    let stats = queue.stats();
    assert_eq!(stats.posted_records, 4 * u64::from(EACH));
    assert_eq!(logger.lost(), alq::log::Lost::default());
}

#[test]
fn a_flush_returns_when_the_line_is_written_and_not_before() {
    let (queue, script) = shut(small());
    let logger = Arc::new(Logger::new(&queue).format(bare));
    log(&logger, Level::Info, format_args!("line\n"));
    let other = Arc::clone(&logger);
    let flush = spawn(move || other.flush());
    script.wait_for_write(1);
    assert!(flush.is_running());
    script.open_write();
    flush.join();
    assert_eq!(script.bytes(), b"line\n");
}

#[test]
fn behind_a_sink_that_takes_nothing_errors_wait_and_debug_is_dropped_and_counted() {
    let (queue, script) = shut(small());
    queue.writen(&[b'#'; 4096], TRY).unwrap();
    let logger = Logger::new(&queue).format(bare);
    let logger = Arc::new(logger.drop_when_full(Level::Debug));
    log(&logger, Level::Debug, format_args!("debug\n"));
    log(&logger, Level::Trace, format_args!("trace\n"));
    assert_eq!(logger.lost().full, 2);
    assert_eq!(queue.stats().refused_records, 2);
    let threads = [Level::Error, Level::Warn, Level::Info].map(|level| {
        let logger = Arc::clone(&logger);
        spawn(move || log(&logger, level, format_args!("{level}\n")))
    });
    wait_for("all of them wait", || queue.stats().waits.writen_room == 3);
    assert!(threads.iter().all(crate::common::Watched::is_running));
    script.open_write();
    threads.into_iter().for_each(crate::common::Watched::join);
    queue.close(None).unwrap();
    let bytes = script.bytes();
    let mut lines: Vec<_> = bytes[4096..].split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    assert_eq!(lines, [&b""[..], b"ERROR", b"INFO", b"WARN"]);
    assert_eq!(logger.lost().full, 2);
}

#[test]
fn a_wait_is_no_longer_than_it_may_be() {
    let (queue, script) = shut(small());
    queue.writen(&[b'#'; 4096], TRY).unwrap();
    let patience = Duration::from_millis(10);
    let logger = Logger::new(&queue).format(bare).wait_at_most(patience);
    log(&logger, Level::Error, format_args!("lost\n"));
    assert_eq!(logger.lost().timed_out, 1);
    script.open_write();
    queue.flush().unwrap();
    log(&logger, Level::Error, format_args!("written\n"));
    queue.close(None).unwrap();
    assert!(script.bytes().ends_with(b"#written\n"));
}

#[test]
fn after_one_wait_in_vain_no_record_waits_until_room_has_come() {
    let (queue, script) = shut(small());
    queue.writen(&[b'#'; 4096], TRY).unwrap();
    let logger = Logger::new(&queue).format(bare);
    let logger = logger.wait_at_most(Duration::from_millis(1));
    for _ in 0..1000 {
        log(&logger, Level::Error, format_args!("lost\n"));
    }
    let lost = logger.lost_at(Level::Error);
    assert_eq!((lost.timed_out, lost.full), (1, 999));
    assert_eq!(queue.stats().waits.writen_room, 1);
    script.open_write();
    queue.close(None).unwrap();
}

#[test]
fn debug_leaves_room_for_errors() {
    let (queue, script) = shut(small());
    let logger = Logger::new(&queue).format(bare);
    let logger = logger
        .drop_above(Level::Debug, 80)
        .drop_when_full(Level::Error);
    for level in [Level::Debug, Level::Error] {
        for _ in 0..100 {
            log(&logger, level, format_args!("{level:<5} {:93}\n", ""));
        }
    }
    let (debug, error) = (logger.lost_at(Level::Debug), logger.lost_at(Level::Error));
    assert_eq!((debug.headroom, debug.total()), (68, 68)); // 32 of 100 bytes are below 80 %
    assert_eq!((error.full, error.total()), (92, 92)); // 8 more fit
    script.open_write();
    queue.close(None).unwrap();
}

#[test]
fn a_line_that_is_longer_than_the_ring_is_lost_whole_and_counted() {
    let file = LogFile::new();
    let queue = file.open(small());
    let logger = Logger::new(&queue).format(bare);
    log(&logger, Level::Error, format_args!("{:4097}", ""));
    log(&logger, Level::Error, format_args!("{:4096}", ""));
    assert_eq!((logger.lost().too_large, logger.lost().failed), (1, 0));
    queue.close(None).unwrap();
    assert_eq!(file.text(), " ".repeat(4096));
}

/// Logs from within, fails, or panics.
enum Display<'a> {
    Logs(&'a Logger),
    Fails,
}

impl fmt::Display for Display<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logs(logger) => {
                log(logger, Level::Info, format_args!("inner {:4000}\n", 1));
                logger.flush();
                f.write_str("outer")
            }
            Self::Fails => Err(fmt::Error),
        }
    }
}

#[test]
fn what_is_formatted_may_log_itself_or_fail() {
    let file = LogFile::new();
    let queue = file.open(small());
    let logger = Logger::new(&queue).format(bare);
    let outer = Display::Logs(&logger);
    log(&logger, Level::Info, format_args!("{:4000} {outer}\n", 2));
    log(&logger, Level::Info, format_args!("{}\n", Display::Fails));
    assert_eq!(logger.lost().unformatted, 1);
    queue.writen(b"end\n", Flags::WAITOK).unwrap();
    queue.close(None).unwrap();
    let expected = format!("inner {:4000}\n{:4000} outer\nend\n", 1, 2);
    assert_eq!(file.text(), expected);
}

/// Logs each write, to the queue whose sink it is.
#[derive(Default)]
struct Chatty {
    logger: OnceLock<Logger>,
    bytes: Mutex<Vec<u8>>,
}

impl Sink for Chatty {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap();
        let before = bytes.len();
        runs.iter().for_each(|run| bytes.extend_from_slice(run));
        let taken = bytes.len() - before;
        if taken > 10 {
            let logger = self.logger.get().unwrap();
            log(logger, Level::Error, format_args!("{taken}\n"));
        }
        Ok(taken)
    }

    fn sync(&self, _op: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_format_that_writes_nothing_leaves_a_record_out_and_loses_none() {
    let file = LogFile::new();
    let queue = file.open(small());
    let logger = Logger::new(&queue).format(|out, record| match record.level() {
        Level::Info => Ok(()),
        _ => bare(out, record),
    });
    log(&logger, Level::Info, format_args!("left out\n"));
    log(&logger, Level::Warn, format_args!("kept\n"));
    logger.flush();
    assert_eq!(file.text(), "kept\n");
    assert_eq!(logger.lost(), alq::log::Lost::default());
}

#[test]
fn a_record_never_becomes_a_part_of_a_torn_line() {
    for (options, text) in [
        (small(), "torn\nnext\n"),
        (small().end_torn_line(false), "tornnext\n"),
    ] {
        let file = LogFile::new();
        std::fs::write(file.path(), b"torn").unwrap();
        let queue = file.open(options);
        let logger = Logger::new(&queue).format(bare);
        log(&logger, Level::Warn, format_args!("next\n"));
        logger.flush();
        assert_eq!(file.text(), text);
    }
}

#[test]
fn a_sink_that_logs_to_its_own_queue_never_waits() {
    let sink = Arc::<Chatty>::default();
    let queue = small().open_sink(Arc::clone(&sink)).unwrap();
    let logger = || Logger::new(&queue).format(bare);
    sink.logger.get_or_init(logger);
    for filler in [4096, 4000] {
        queue.writen(&vec![b'#'; filler], TRY).unwrap();
        queue.flush().unwrap();
    }
    queue.flush().unwrap(); // what the sink has logged
    let bytes = sink.bytes.lock().unwrap().clone();
    assert!(bytes.ends_with(b"#4000\n"));
    assert_eq!(bytes.len(), 4096 + 4000 + 5);
    assert_eq!(sink.logger.get().unwrap().lost().full, 1);
    queue.close(None).unwrap();
}

#[test]
fn the_plain_format_has_time_level_target_and_message() {
    let mut line = String::new();
    let builder = &mut Record::builder();
    let record = builder.level(Level::Warn).target("app::disk");
    plain(&mut line, &record.args(format_args!("nearly full")).build()).unwrap();
    let (time, rest) = line.split_once(' ').unwrap();
    assert_eq!(rest, "WARN  app::disk: nearly full\n");
    let (seconds, micros) = time.split_once('.').unwrap();
    assert!(seconds.parse::<u64>().unwrap() > 1_700_000_000 && micros.len() == 6);
}

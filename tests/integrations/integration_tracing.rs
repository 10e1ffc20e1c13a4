//! Each event of a `fmt` layer of tracing-subscriber becomes one whole line in the log; otherwise
//! the event is counted as lost.

use std::cell::RefCell;
use std::future::Future;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::common::child::{end_of_child, in_child};
use crate::common::exit;
use crate::common::fork::{End, fork};
use crate::common::sink::{Script, queue_to};
use crate::common::{
    Log, Numbers, Record, STALLS_SOON, TRY, Watched, assert_complete, parse, small, spawn, wait_for,
};
use alq::tracing::{Lost, Writer};
use alq::{Options, Queue};
use tracing::{Dispatch, Level};
use tracing_subscriber::fmt::MakeWriter;

/// Writes only the message of each event.
fn bare(writer: &Writer) -> Dispatch {
    let format = tracing_subscriber::fmt::format()
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false);
    let builder = tracing_subscriber::fmt().with_max_level(Level::TRACE);
    let builder = builder.event_format(format).with_writer(writer.clone());
    builder.log_internal_errors(false).into()
}

fn json(writer: &Writer) -> Dispatch {
    let builder = tracing_subscriber::fmt()
        .json()
        .with_max_level(Level::TRACE);
    builder.with_writer(writer.clone()).into()
}

fn within<T>(dispatch: &Dispatch, body: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(dispatch, body)
}

fn event(level: Level, message: &str) {
    match level {
        Level::ERROR => tracing::error!("{message}"),
        Level::WARN => tracing::warn!("{message}"),
        Level::INFO => tracing::info!("{message}"),
        Level::DEBUG => tracing::debug!("{message}"),
        Level::TRACE => tracing::trace!("{message}"),
    }
}

fn shut(options: Options) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.shut_write();
    (queue_to(&script, options), script)
}

/// Debug events stay in the recorder until an error comes, and stand before it, also if the other
/// events go to lanes. An error that nothing led to dumps nothing.
#[test]
fn a_recorder_takes_debug_and_is_dumped_before_an_error() {
    for in_lanes in [false, true] {
        let log = Log::new();
        let queue = log.open(small());
        let recorder = log.open(small().recorder(true));
        let writer = Writer::new(&queue).lanes(in_lanes);
        let writer = writer.drop_above(Level::DEBUG, 1); // that is for the queue
        let writer = writer.recorder(&recorder, Level::DEBUG);
        within(&bare(&writer), || {
            event(Level::INFO, "info");
            queue.flush().unwrap();
            for _ in 0..1000 {
                event(Level::DEBUG, "debug");
                event(Level::TRACE, "trace");
            }
            queue.flush().unwrap();
            assert_eq!(log.text(), "info\n");
            event(Level::ERROR, "error 1");
            event(Level::ERROR, "error 2");
        });
        queue.flush().unwrap();
        let text = log.text();
        assert!(text.starts_with("info\n--- 64 records ("), "{text}");
        assert!(
            text.contains("; 1936 older ones were overwritten; reason: error in "),
            "{text}"
        );
        assert!(
            text.ends_with("\ndebug\ntrace\nerror 1\nerror 2\n"),
            "{text}"
        );
        assert_eq!((text.lines().count(), writer.lost()), (68, Lost::default()));
    }
}

const WRITERS: usize = 4;
const EACH: u32 = 2000;

/// Events of four threads, on a ring that is often full.
fn under_load(dispatch: &Dispatch) {
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                within(dispatch, || {
                    let mut numbers = Numbers::new(writer);
                    for seq in 0..EACH {
                        let len = Record::MIN_LEN + numbers.below(600);
                        let text = Record { writer, seq, len }.text();
                        tracing::info!(writer, "{}", text.trim_end());
                    }
                });
            });
        }
    });
}

fn assert_all_written(queue: &Queue, writer: &Writer) {
    queue.flush().unwrap();
    let stats = queue.stats();
    let all = WRITERS as u64 * u64::from(EACH);
    assert_eq!((stats.posted_records, stats.refused_records), (all, 0));
    assert_eq!(writer.lost(), Lost::default());
}

#[test]
fn under_load_every_plain_line_is_whole_and_none_is_lost() {
    for lanes in [false, true] {
        let log = Log::new();
        let queue = log.open(small());
        let writer = Writer::new(&queue).lanes(lanes);
        under_load(&bare(&writer));
        assert_all_written(&queue, &writer);
        // The fields follow the message.
        let line = |line: &str| {
            let (text, writer) = line.rsplit_once(" writer=").unwrap();
            let writer: usize = writer.parse().unwrap();
            assert!(text.starts_with(&format!("{writer}:")));
            format!("{text}\n")
        };
        let text: String = log.text().lines().map(line).collect();
        assert_complete(&parse(text.as_bytes()), &[EACH; WRITERS]);
    }
}

#[test]
fn under_load_every_json_line_is_whole_and_none_is_lost() {
    for lanes in [false, true] {
        let log = Log::new();
        let queue = log.open(small().capacity(8192));
        let writer = Writer::new(&queue).lanes(lanes);
        under_load(&json(&writer));
        assert_all_written(&queue, &writer);
        let line = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = event["fields"]["message"].as_str().unwrap();
            let writer = event["fields"]["writer"].as_u64().unwrap();
            assert!(text.starts_with(&format!("{writer}:")));
            format!("{text}\n")
        };
        let text: String = log.text().lines().map(line).collect();
        assert_complete(&parse(text.as_bytes()), &[EACH; WRITERS]);
    }
}

#[test]
fn behind_a_sink_that_takes_nothing_errors_wait_and_debug_is_dropped_and_counted() {
    for lanes in [false, true] {
        let (queue, script) = shut(small());
        queue.writen(&[b'#'; 4096], TRY).unwrap();
        let writer = Writer::new(&queue).drop_when_full(Level::DEBUG);
        let writer = writer.lanes(lanes);
        let dispatch = bare(&writer);
        within(&dispatch, || {
            event(Level::DEBUG, "debug");
            event(Level::TRACE, "trace");
        });
        assert_eq!(writer.lost().full, 2);
        assert_eq!(queue.stats().refused_records, 2);
        let threads = [Level::ERROR, Level::WARN, Level::INFO].map(|level| {
            let dispatch = dispatch.clone();
            spawn(move || within(&dispatch, || event(level, level.as_str())))
        });
        wait_for("all of them wait", || {
            crate::common::room_waits(&queue.stats()) == 3
        });
        assert!(threads.iter().all(Watched::is_running));
        script.open_write();
        threads.into_iter().for_each(Watched::join);
        queue.close(None).unwrap();
        let bytes = script.bytes();
        let mut lines: Vec<_> = bytes[4096..].split(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        assert_eq!(lines, [&b""[..], b"ERROR", b"INFO", b"WARN"]);
        assert_eq!(writer.lost().full, 2);
    }
}

#[test]
fn a_wait_is_no_longer_than_it_may_be() {
    for lanes in [false, true] {
        let (queue, script) = shut(small());
        queue.writen(&[b'#'; 4096], TRY).unwrap();
        let writer = Writer::new(&queue).wait_at_most(Duration::from_millis(10));
        let writer = writer.lanes(lanes);
        let dispatch = bare(&writer);
        within(&dispatch, || event(Level::ERROR, "lost"));
        assert_eq!((writer.lost().timed_out, writer.lost().total()), (1, 1));
        script.open_write();
        queue.flush().unwrap();
        within(&dispatch, || event(Level::ERROR, "written"));
        queue.close(None).unwrap();
        assert!(script.bytes().ends_with(b"#written\n"));
    }
}

/// Far longer than a test may take: an event that waited it out would fail the test.
const FAR_TOO_LONG: Duration = Duration::from_secs(3600);

#[test]
fn after_one_wait_in_vain_no_event_waits_until_room_has_come() {
    for lanes in [false, true] {
        let (queue, script) = shut(small());
        queue.writen(&[b'#'; 4096], TRY).unwrap();
        let writer = Writer::new(&queue).lanes(lanes);
        let hasty = writer.clone().wait_at_most(Duration::from_millis(1));
        let patient = writer.clone().wait_at_most(FAR_TOO_LONG);
        within(&bare(&hasty), || event(Level::ERROR, "waits in vain"));
        // The clones share what they know.
        within(&bare(&patient), || {
            (0..1000).for_each(|_| event(Level::ERROR, "refused at once"));
        });
        let lost = writer.lost();
        assert_eq!((lost.timed_out, lost.full, lost.total()), (1, 1000, 1001));
        let refused = queue.stats().refused;
        assert_eq!((refused.timed_out.records, refused.full.records), (1, 1000));
        assert_eq!(common_waits(&queue), 1);
        script.open_write();
        queue.flush().unwrap();
        // There was room, so an event waits again.
        script.shut_write();
        queue.writen(&[b'#'; 4096], TRY).unwrap();
        let dispatch = bare(&patient);
        let waits = spawn(move || within(&dispatch, || event(Level::ERROR, "written")));
        wait_for("it waits", || common_waits(&queue) == 2);
        script.open_write();
        waits.join();
        queue.close(None).unwrap();
        assert!(script.bytes().ends_with(b"#written\n"));
        assert_eq!(writer.lost().total(), 1001);
    }
}

fn common_waits(queue: &Queue) -> u64 {
    crate::common::room_waits(&queue.stats())
}

/// The sink takes nothing. Each level fills the ring up to its limit, and is refused and counted
/// from there on; the room above is left to the more severe levels.
#[test]
fn each_level_leaves_room_for_the_more_severe_ones() {
    for lanes in [false, true] {
        let (queue, script) = shut(small().capacity(1 << 16).lane_span(1 << 10));
        let writer = Writer::new(&queue)
            .drop_above(Level::DEBUG, 80)
            .drop_above(Level::INFO, 95)
            .drop_when_full(Level::ERROR)
            .lanes(lanes);
        let dispatch = bare(&writer);
        let flood = |level| {
            let line = format!("{level:<5} {}", "x".repeat(120));
            (0..1000).for_each(|_| within(&dispatch, || event(level, &line)));
            let fill = queue.stats().fill_bytes * 100 / (1 << 16);
            (1000 - writer.lost_at(level).total(), fill)
        };
        let more = if lanes { 2 } else { 0 }; // the span that a lane has claimed
        let (traces, fill) = flood(Level::TRACE);
        assert!((77..=80 + more).contains(&fill), "{fill} % after TRACE");
        assert!(traces > 380, "{traces}");
        let (debugs, fill) = flood(Level::DEBUG);
        assert!(
            debugs <= 8 && fill <= 80 + more,
            "{debugs}, {fill} % after DEBUG"
        );
        let (infos, fill) = flood(Level::INFO);
        assert!((92..=95 + more).contains(&fill), "{fill} % after INFO");
        assert!(infos > 50, "{infos}");
        let (errors, fill) = flood(Level::ERROR);
        assert!(fill > 97 && errors >= 8, "{errors}, {fill} % after ERROR");
        for level in [Level::TRACE, Level::DEBUG, Level::INFO] {
            let lost = writer.lost_at(level);
            assert_eq!(lost.headroom, lost.total(), "{level}");
        }
        let lost = writer.lost_at(Level::ERROR);
        assert_eq!((lost.full, lost.headroom), (lost.total(), 0));
        let refused = queue.stats().refused;
        assert_eq!(refused.headroom.records, writer.lost().headroom);
        assert_eq!(refused.full.records, lost.full);
        script.open_write();
        queue.close(None).unwrap();
        let lines = script.bytes().split(|byte| *byte == b'\n').count() as u64 - 1;
        assert_eq!(lines + writer.lost().total(), 4000);
    }
}

#[test]
fn an_event_of_many_small_writes_is_one_record() {
    for lanes in [false, true] {
        let log = Log::new();
        let queue = log.open(small().capacity(1 << 20));
        let writer = Writer::new(&queue).lanes(lanes);
        // Less and more than the first reservation of an event, also with a line end inside.
        for (pieces, piece) in [(1, "one\n"), (100, "ab"), (100, "a\nb"), (3000, "xy")] {
            let before = queue.stats().posted_records;
            let mut event = writer.make_writer();
            for _ in 0..pieces {
                event.write_all(piece.as_bytes()).unwrap();
                queue.writen(b"!", TRY).unwrap(); // another writer
            }
            write!(event, "{}{}", 1, 2).unwrap();
            drop(event);
            assert_eq!(queue.stats().posted_records, before + pieces as u64 + 1);
            queue.flush().unwrap();
            assert!(log.text().contains(&(piece.repeat(pieces) + "12")));
        }
        drop(writer.make_writer()); // nothing at all
        let mut event = writer.make_writer();
        event.write_all(b"flushed\n").unwrap();
        event.flush().unwrap();
        assert!(log.text().ends_with("flushed\n"));
    }
}

#[test]
fn an_event_that_is_longer_than_the_ring_is_refused_whole_and_counted() {
    for lanes in [false, true] {
        let log = Log::new();
        let queue = log.open(small());
        let writer = Writer::new(&queue).lanes(lanes);
        let dispatch = bare(&writer);
        within(&dispatch, || {
            event(Level::INFO, &"x".repeat(4096));
            event(Level::INFO, &"y".repeat(4095));
        });
        assert_eq!(writer.lost().too_large, 1);
        let mut event = writer.make_writer();
        let piece = [b'z'; 1500];
        event.write_all(&piece).unwrap();
        event.write_all(&piece).unwrap();
        let refused = event.write_all(&piece).unwrap_err();
        let cause: &alq::Error = refused.get_ref().unwrap().downcast_ref().unwrap();
        assert!(matches!(cause, alq::Error::TooLarge { max: 4096, .. }));
        event.write_all(&piece).unwrap(); // of an event that is lost already
        drop(event);
        assert_eq!((writer.lost().too_large, writer.lost().failed), (2, 0));
        queue.close(None).unwrap();
        assert_eq!(log.text(), "y".repeat(4095) + "\n");
    }
}

#[test]
fn what_comes_after_a_close_is_counted() {
    for lanes in [false, true] {
        let queue = Log::new().open(small());
        let writer = Writer::new(&queue).lanes(lanes);
        queue.close(None).unwrap();
        within(&bare(&writer), || event(Level::DEBUG, "late"));
        assert_eq!((writer.lost().closed, writer.lost().total()), (1, 1));
    }
}

#[test]
fn a_lane_ends_with_its_thread_and_with_the_last_writer() {
    let (queue, script) = shut(small());
    script.open_write();
    let writer = Writer::new(&queue).lanes(true);
    for round in 0..10 {
        let dispatch = bare(&writer);
        thread::spawn(move || within(&dispatch, || event(Level::INFO, "from a thread")))
            .join()
            .unwrap();
        wait_for("its lane has ended", || queue.stats().lanes == 0);
        assert_eq!(queue.stats().posted_records, round + 1);
    }
    let other = script_of_another_queue();
    let dispatch = bare(&writer);
    within(&dispatch, || {
        event(Level::INFO, "from here");
        within(&bare(&other.0), || event(Level::INFO, "elsewhere"));
        event(Level::INFO, "from here again");
    });
    assert_eq!((queue.stats().lanes, queue.stats().posted_records), (1, 12));
    // This thread continues, and keeps no queue open.
    drop((writer, dispatch, queue));
    assert_eq!(Arc::strong_count(&script), 1);
    assert!(script.bytes().ends_with(b"here\nfrom here again\n"));
    drop(other.0);
    assert_eq!(other.1.bytes(), b"elsewhere\n");
}

fn script_of_another_queue() -> (Writer, Arc<Script>) {
    let script = Script::new();
    let queue = queue_to(&script, small());
    (Writer::new(&queue).lanes(true), script)
}

#[test]
fn the_events_of_a_thread_keep_their_order_also_those_within_others() {
    let log = Log::new();
    let queue = log.open(small());
    let writer = Writer::new(&queue).lanes(true);
    writer.make_writer().write_all(b"first\n").unwrap();
    let mut outer = writer.make_writer();
    outer.write_all(b"outer\n").unwrap();
    let mut inner = writer.make_writer();
    inner.write_all(b"inner\n").unwrap();
    drop(inner);
    drop(outer);
    let dispatch = bare(&writer);
    within(&dispatch, || {
        for i in 0..1000 {
            tracing::info!("{i}");
        }
    });
    queue.close(None).unwrap();
    let text = log.text();
    let numbers = text.strip_prefix("first\ninner\nouter\n").unwrap();
    let numbers = numbers.lines().map(|line| line.parse::<i32>().unwrap());
    assert!(numbers.eq(0..1000));
    assert_eq!(writer.lost(), Lost::default());
}

/// A waker that logs, as instrumented executors do.
struct Logs(Writer);

impl Wake for Logs {
    fn wake(self: Arc<Self>) {
        self.0.make_writer().write_all(b"told\n").unwrap();
    }
}

#[test]
fn a_task_that_logs_when_it_is_woken_may_do_so_within_the_append_of_another_event() {
    let (queue, script) = shut(small().ordered(true));
    let writer = Writer::new(&queue).lanes(true);
    queue.writen(&[b'#'; 4000], TRY).unwrap();
    let own = writer.clone();
    let thread = spawn(move || {
        // Longer than a busy machine needs for the steps below.
        let patient = own.clone().wait_at_most(Duration::from_secs(2));
        let mut event = patient.make_writer();
        event.write_all(&[b'x'; 200]).unwrap();
        drop(event); // gives up in the end and passes its turn to the task, whose waker runs here
        own.lost()
    });
    wait_for("the event waits", || queue.stats().waits.writen_room == 1);
    let mut task = Box::pin(queue.reserve(50));
    let waker = Waker::from(Arc::new(Logs(writer.clone())));
    let mut context = Context::from_waker(&waker);
    assert!(task.as_mut().poll(&mut context).is_pending(), "others wait");
    assert_eq!(thread.join().timed_out, 1);
    script.open_write();
    queue.flush().unwrap();
    assert!(script.bytes().ends_with(b"#told\n"));
}

#[test]
fn a_child_of_fork_writes_its_own_events_and_none_of_its_parent() {
    let test = "a_child_of_fork_writes_its_own_events_and_none_of_its_parent";
    in_child(test, || {
        for lanes in [false, true] {
            for end in [End::AtOnce, End::WithHandlers] {
                let log = Log::new();
                let queue = log.open(small());
                let writer = Writer::new(&queue).lanes(lanes);
                let dispatch = bare(&writer);
                let say = |text| within(&dispatch, || event(Level::INFO, text));
                say("before");
                fork(end, || {
                    say("child");
                    let of_a_thread = || thread::scope(|scope| drop(scope.spawn(|| say("thread"))));
                    of_a_thread();
                })
                .join();
                say("after");
                queue.close(None).unwrap();
                let text = log.text();
                let mut lines: Vec<_> = text.lines().collect();
                lines.sort_unstable();
                assert_eq!(lines, ["after", "before", "child", "thread"]);
            }
        }
    });
}

/// Logs when its thread ends, or the process.
struct Late(Writer);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.make_writer().write_all(b"late\n").unwrap();
    }
}

/// Opens a log that ends inside a line, and logs one event.
fn after_a_torn_line(options: Options) -> String {
    let file = Log::new();
    std::fs::write(file.path(), b"torn").unwrap();
    let queue = file.open(options);
    let writer = Writer::new(&queue);
    let again = writer.clone();
    tracing::dispatcher::with_default(&bare(&writer), || event(Level::INFO, "event"));
    tracing::dispatcher::with_default(&bare(&again), || event(Level::INFO, "event"));
    drop(Writer::new(&queue)); // the log ends with a line, or the queue is in use
    queue.close(None).unwrap();
    file.text()
}

#[test]
fn an_event_never_becomes_a_part_of_a_torn_line() {
    assert_eq!(after_a_torn_line(small()), "torn\nevent\nevent\n");
    let kept = small().end_torn_line(false);
    assert_eq!(after_a_torn_line(kept), "tornevent\nevent\n");
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

#[test]
fn a_process_that_ends_has_written_every_event() {
    static KEPT: OnceLock<Queue> = OnceLock::new();
    let test = "a_process_that_ends_has_written_every_event";
    for (way, lanes, before) in [
        ("queue", false, false),
        ("queue, late first", false, true),
        ("lanes", true, false),
        ("lanes, late first", true, true),
    ] {
        let ended = end_of_child(test, way, |folder| {
            let options = small().stall_limit(Some(STALLS_SOON));
            let queue = KEPT.get_or_init(|| options.open(exit::log(folder)).unwrap());
            let writer = Writer::new(queue).lanes(lanes);
            tracing::dispatcher::set_global_default(bare(&writer)).unwrap();
            let late = Late(writer.clone());
            let body = move || {
                if before {
                    LATE.set(Some(late)); // its destructor is the later one
                    event(Level::INFO, "line");
                } else {
                    event(Level::INFO, "line");
                    LATE.set(Some(late));
                }
            };
            thread::spawn(body).join().unwrap();
            event(Level::INFO, "last");
            std::process::exit(7);
        });
        if let Some(ended) = ended {
            ended.assert_code(7);
            let text = String::from_utf8(ended.file("log")).unwrap();
            assert_eq!(text, "line\nlate\nlast\n", "{way}");
        }
    }
}

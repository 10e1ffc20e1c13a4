//! The flusher thread has a name, takes no signals and uses no CPU when idle, and a dropped queue
//! leaves no resource in use. This is one test, because it looks at the whole process.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use alq::{SyncOp, SyncPolicy};
use common::{DEADLINE, Log, TRY, small, wait_for};

fn threads() -> Vec<PathBuf> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks.map(|task| task.unwrap().path()).collect()
}

fn flushers() -> Vec<PathBuf> {
    tasks("alq-flusher")
}

/// The threads with this name.
fn tasks(name: &str) -> Vec<PathBuf> {
    let mut tasks = threads();
    tasks.retain(|task| {
        let comm = fs::read_to_string(task.join("comm")).unwrap_or_default();
        comm.trim_end() == name
    });
    tasks
}

/// A field of a status file of procfs.
fn field(status: &Path, name: &str) -> String {
    let text = fs::read_to_string(status).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim_start_matches(':').trim().to_owned()
}

fn kilobytes(name: &str) -> u64 {
    let text = field(Path::new("/proc/self/status"), name);
    text.trim_end_matches(" kB").parse().unwrap()
}

fn mappings(name: &str) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains(name)).count()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Returns the number of context switches once it is stable for a while.
fn settled(task: &Path) -> u64 {
    let switches = || -> u64 {
        let text = field(&task.join("status"), "voluntary_ctxt_switches");
        text.parse().unwrap()
    };
    let mut last = switches();
    let mut since = Instant::now();
    wait_for("the flusher parks", || {
        let now = switches();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() >= Duration::from_millis(200)
    });
    last
}

/// All 64 signals, but those that cannot be blocked (9 and 19) and those that the C library keeps
/// for itself (32, 33; with musl also 34).
const BLOCKABLE: u64 = !(1 << 8 | 1 << 18 | 1 << 31 | 1 << 32 | 1 << 33);

fn the_flusher_has_a_name_and_takes_no_signals() {
    let log = Log::new();
    let before = field(Path::new("/proc/thread-self/status"), "SigBlk");
    let queue = log.open(small());
    wait_for("the flusher has its name", || flushers().len() == 1);
    let status = flushers()[0].join("status");
    let blocked = u64::from_str_radix(&field(&status, "SigBlk"), 16).unwrap();
    assert_eq!(blocked & BLOCKABLE, BLOCKABLE, "{blocked:#x}");
    let after = field(Path::new("/proc/thread-self/status"), "SigBlk");
    assert_eq!(before, after, "the caller's own mask is as it was");
    queue.close(None).unwrap();
    wait_for("the flusher ends with the queue", || flushers().is_empty());
    drop(queue);
}

fn an_idle_queue_costs_no_cpu() {
    let log = Log::new();
    let queue = log.open(small());
    wait_for("the flusher has its name", || flushers().len() == 1);
    let flusher = flushers().remove(0);
    for round in 0..3 {
        queue.writen(b"some work\n", TRY).unwrap();
        queue.flush().unwrap();
        // Once it is quiet, it stays quiet; a flusher that was slow to park gets another try.
        let stays = (0..10).any(|_| {
            let (switches, wakeups) = (settled(&flusher), queue.stats().wakeups);
            std::thread::sleep(Duration::from_millis(300)); // the time in which it must not move
            (switches, wakeups) == (settled(&flusher), queue.stats().wakeups)
        });
        assert!(stays, "round {round}: it never stays asleep");
    }
}

fn an_idle_queue_with_a_sync_policy_costs_no_cpu() {
    let log = Log::new();
    let policy = SyncPolicy::new().time(Duration::from_millis(1)).bytes(64);
    let queue = log.open(small().sync_every(policy));
    wait_for("the sync thread has its name", || {
        tasks("alq-sync").len() == 1
    });
    let syncer = tasks("alq-sync").remove(0);
    for round in 1..=3 {
        queue.writen(b"some work\n", TRY).unwrap();
        wait_for("the sync", || queue.stats().syncs.done >= round);
        let stays = (0..10).any(|_| {
            let switches = settled(&syncer);
            std::thread::sleep(Duration::from_millis(300)); // the time in which it must not move
            switches == settled(&syncer)
        });
        assert!(stays, "round {round}: it never stays asleep");
        assert_eq!(queue.stats().syncs.done, round);
    }
}

/// The niceness of a thread. Source: `proc_pid_stat(5)`.
fn niceness(task: &Path) -> i32 {
    let text = fs::read_to_string(task.join("stat")).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(16).unwrap().parse().unwrap()
}

/// A panic there is the program's, and the queue goes on.
fn each_thread_calls_the_function_of_the_program_when_it_starts() {
    let log = Log::new();
    let mine = niceness(Path::new("/proc/thread-self"));
    let (sender, names) = channel();
    let queue = log.open(small().on_thread_start(move |name| {
        rustix::process::nice(3).unwrap();
        sender.send(name.to_owned()).unwrap();
        panic!("as it was told");
    }));
    queue.writen(b"some work\n", TRY).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    let mut started = [(); 2].map(|()| names.recv_timeout(DEADLINE).unwrap());
    started.sort();
    assert_eq!(started, ["alq-flusher", "alq-sync"]);
    for name in started {
        let task = tasks(&name).remove(0);
        assert_eq!(niceness(&task), mine + 3, "{name}");
    }
    assert_eq!(niceness(Path::new("/proc/thread-self")), mine);
    queue.close(None).unwrap();
    drop(queue);
    assert_eq!(log.text(), "some work\n");
    assert!(
        names.recv_timeout(DEADLINE).is_err(),
        "no other thread calls it"
    );
}

fn queues_leave_nothing_behind() {
    const ROUNDS: u64 = 200;
    let log = Log::new();
    let cycle = || {
        let queue = log.open(small().capacity(1 << 18));
        queue.writen(b"x", TRY).unwrap();
        drop(queue);
    };
    // Several at once: stacks and arenas that the C library keeps are there from now on.
    let several: Vec<_> = (0..4).map(|_| log.open(small())).collect();
    drop(several);
    (0..10).for_each(|_| cycle());
    let all_gone = || flushers().is_empty() && mappings("alq-ring") == 0;
    wait_for("the flushers end", all_gone);

    let (fds, tasks, maps) = (descriptors(), threads().len(), mappings(""));
    let resident = || kilobytes("RssAnon") + kilobytes("RssShmem");
    let before = resident();
    for round in 0..ROUNDS {
        cycle();
        if round % 10 == 0 {
            assert!(
                small()
                    .open_fd(fs::File::open("/dev/null").unwrap())
                    .is_err()
            );
            assert!(small().open("/no/such/directory/test.log").is_err());
        }
    }
    wait_for("the flushers end", all_gone);
    wait_for("all descriptors are closed", || descriptors() <= fds);
    wait_for("all threads are gone", || threads().len() <= tasks);
    wait_for("all mappings are gone", || mappings("") <= maps);
    // One ring and its descriptors are 320 KiB here; 200 of them would show.
    let growth = resident().saturating_sub(before);
    assert!(growth < ROUNDS * 320 / 4, "{growth} KiB more than before");
}

#[test]
fn the_thread_is_quiet_and_queues_leave_nothing_behind() {
    the_flusher_has_a_name_and_takes_no_signals();
    each_thread_calls_the_function_of_the_program_when_it_starts();
    an_idle_queue_costs_no_cpu();
    an_idle_queue_with_a_sync_policy_costs_no_cpu();
    queues_leave_nothing_behind();
}

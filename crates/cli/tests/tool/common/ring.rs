//! Ring files for tests: of a tool that is blocked, and of a process that was killed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use alq::{Flags, Options, Queue};
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Running, alq, fifo, pipe, scratch, wait_until};

/// The object that `alq ARGS --json` prints.
#[track_caller]
pub fn json(args: &[&Path]) -> Value {
    let run = alq(args).arg("--json").assert().stderr("");
    serde_json::from_slice(&run.get_output().stdout).unwrap()
}

/// The JSON of `alq stat` for the ring file.
#[track_caller]
pub fn stat(ring: &Path) -> Value {
    json(&[Path::new("stat"), ring])
}

/// The number with this name.
#[track_caller]
pub fn number(object: &Value, name: &str) -> u64 {
    let value = object[name].as_u64();
    value.unwrap_or_else(|| panic!("no number {name} in {object}"))
}

/// `alq append --ring` to a FIFO that is full: what it reads stays in its ring.
pub struct Stuck {
    pub dir: TempDir,
    pub ring: PathBuf,
    pub fifo: PathBuf,
    pub tool: Running,
    pub input: File,
    /// The reading end of the FIFO, and the number of bytes in it before those of the tool.
    pub reader: File,
    pub filler: usize,
}

impl Stuck {
    pub fn start() -> Self {
        let (dir, _) = scratch();
        let (fifo, reader) = fifo(&dir);
        let filler = fill(&fifo);
        let ring = dir.path().join("ring");
        let (input, writer) = pipe();
        let args = [
            Path::new("--ring-on-disk"),
            Path::new("--ring"),
            &ring,
            &fifo,
        ];
        let tool = Running::append(args, input);
        wait_until("the ring file", || ring.exists());
        Self {
            dir,
            ring,
            fifo,
            tool,
            input: writer.into(),
            reader,
            filler,
        }
    }

    /// Feeds a text to the tool, and waits until it is posted.
    pub fn feed(&mut self, text: &str) {
        let pending = || number(&stat(&self.ring), "pending_bytes");
        let before = pending();
        self.input.write_all(text.as_bytes()).unwrap();
        wait_until("the text in the ring", || {
            pending() == before + text.len() as u64
        });
    }

    /// Kills the tool, and returns what stays.
    pub fn kill(mut self) -> Left {
        self.tool.signal(Signal::KILL);
        self.tool.end();
        Left {
            log: self.fifo,
            ring: self.ring,
            dir: self.dir,
            reader: Some((self.reader, self.filler)),
        }
    }
}

/// Fills a FIFO. Returns the number of bytes.
fn fill(path: &Path) -> usize {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let writer = rustix::fs::open(path, flags, Mode::empty()).unwrap();
    let mut filled = 0;
    for piece in [4096, 1] {
        while let Ok(count) = rustix::io::write(&writer, &vec![b'#'; piece]) {
            filled += count;
        }
    }
    filled
}

/// A ring file that a killed process has left, and its log.
pub struct Left {
    pub dir: TempDir,
    pub ring: PathBuf,
    pub log: PathBuf,
    /// For a FIFO.
    pub reader: Option<(File, usize)>,
}

/// Creates the ring file of a queue with these options, as a kill would leave it: the log has
/// `written`, and the ring has `posted` after an open reservation. All records must have 8 bytes.
pub fn left(options: Options, written: &[&str], posted: &[&str]) -> Left {
    let (dir, log) = scratch();
    let (used, ring) = (dir.path().join("used"), dir.path().join("ring"));
    let queue = options.ring_file(&used).open(&log).unwrap();
    let append = |queue: &Queue, text: &str| {
        let mut entry = reserve(queue);
        entry.copy_from_slice(text.as_bytes());
        entry.post();
    };
    written.iter().for_each(|text| append(&queue, text));
    queue.flush().unwrap();
    let held = reserve(&queue);
    posted.iter().for_each(|text| append(&queue, text));
    let len = 8 * written.len() as u64;
    wait_until("what the flusher shows", || {
        let live = alq::ring_file::inspect(&used).unwrap().live;
        live.shown_ns > 0 && live.written_bytes == len
    });
    fs::copy(&used, &ring).unwrap();
    drop(held);
    queue.close(None).unwrap();
    let file = File::options().write(true).open(&log).unwrap();
    file.set_len(len).unwrap();
    fs::remove_file(used).unwrap();
    Left {
        dir,
        ring,
        log,
        reader: None,
    }
}

fn reserve(queue: &Queue) -> alq::Entry<'_> {
    let fixed = queue.get(Flags::WAITOK);
    fixed.or_else(|_| queue.getn(8, Flags::WAITOK)).unwrap()
}

/// Changes one word of a file.
pub fn change_word(path: &Path, at: u64, change: impl Fn(u64) -> u64) {
    use std::os::unix::fs::FileExt;
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).unwrap();
    let word = change(u64::from_ne_bytes(word));
    file.write_all_at(&word.to_ne_bytes(), at).unwrap();
}

/// Damages a ring file in several ways. Each comes with a part of the message that it must cause.
pub fn spoil(ring: &Path) -> Vec<(PathBuf, &'static str)> {
    let copy = |name: &str| {
        let path = ring.with_file_name(name);
        fs::copy(ring, &path).unwrap();
        path
    };
    let cut = copy("cut");
    let file = File::options().write(true).open(&cut).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    let version = copy("version");
    change_word(&version, 16, |_| 7);
    let order = copy("order");
    change_word(&order, 8, u64::swap_bytes);
    let sizes = copy("sizes");
    change_word(&sizes, 24, |capacity| capacity * 2);
    let text = ring.with_file_name("text");
    fs::write(&text, "no ring file".repeat(100)).unwrap();
    vec![
        (cut, "its header says"),
        (version, "format version 7"),
        (order, "byte order"),
        (sizes, "damaged"),
        (text, "not a ring file of alq (it begins with \"no ring \")"),
        (ring.with_file_name("missing"), "No such file"),
    ]
}

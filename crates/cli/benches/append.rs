//! `alq append` against `cat >>`, from a file in memory to a file in memory.
//!
//! The two take turns, so that other load on the machine hits both. Medians of the rounds are
//! compared. `ALQ_BENCH_BYTES` sets the length of the input (1 GiB), `ALQ_BENCH_ROUNDS` the rounds
//! (7), `ALQ_BENCH_ARGS` more options for `alq append`.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    if env::args().any(|arg| arg == "--test") {
        return Ok(()); // `cargo test --benches` only wants to know that it starts
    }
    let bytes = setting("ALQ_BENCH_BYTES", 1 << 30)?;
    let rounds = setting("ALQ_BENCH_ROUNDS", 7)?.max(1);
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)?
    } else {
        println!("no /dev/shm: the figures are those of the disk");
        tempfile::tempdir()?
    };
    let bench = Bench::new(dir.path(), bytes)?;
    bench.round(&Tool::ALL)?; // the first round pays for cold caches
    let times = bench.measure(rounds)?;
    report(&times, bytes);
    let peak = bench.peak_memory()?;
    println!(
        "memory of alq: peak PSS {} KiB ({} samples), VmHWM {} KiB (it counts the ring twice)",
        peak.pss, peak.samples, peak.resident
    );
    Ok(())
}

fn setting(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => Ok(text
            .parse()
            .map_err(|error| format!("{name}={text}: {error}"))?),
        Err(_) => Ok(default),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Alq,
    Cat,
}

impl Tool {
    const ALL: [Self; 2] = [Self::Alq, Self::Cat];

    fn name(self) -> &'static str {
        match self {
            Self::Alq => "alq append --quiet",
            Self::Cat => "cat >>",
        }
    }
}

#[derive(Debug)]
struct Bench {
    dir: PathBuf,
    input: PathBuf,
    bytes: u64,
    args: Vec<String>,
}

impl Bench {
    fn new(dir: &Path, bytes: u64) -> Result<Self> {
        let input = dir.join("input");
        fill(&input, bytes)?;
        let args = env::var("ALQ_BENCH_ARGS").unwrap_or_default();
        Ok(Self {
            dir: dir.to_owned(),
            input,
            bytes,
            args: args.split_whitespace().map(str::to_owned).collect(),
        })
    }

    fn output(&self, tool: Tool) -> PathBuf {
        self.dir.join(format!("{tool:?}"))
    }

    fn start(&self, tool: Tool) -> Result<Child> {
        let output = self.output(tool);
        let mut command = match tool {
            Tool::Alq => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_alq"));
                command.args(["append", "--quiet"]).args(&self.args);
                command.arg(&output);
                command
            }
            Tool::Cat => {
                let mut command = Command::new("cat");
                let log = OpenOptions::new().append(true).create(true).open(&output)?;
                command.stdout(log);
                command
            }
        };
        command.stdin(File::open(&self.input)?);
        Ok(command.spawn()?)
    }

    /// One run of each tool in the given order, each into a file that is not there yet.
    fn round(&self, order: &[Tool]) -> Result<Vec<(Tool, Duration)>> {
        let mut times = Vec::new();
        for &tool in order {
            self.remove(tool)?;
            let start = Instant::now();
            let status = self.start(tool)?.wait()?;
            times.push((tool, start.elapsed()));
            if !status.success() {
                return Err(format!("{}: {status}", tool.name()).into());
            }
            let written = fs::metadata(self.output(tool))?.len();
            if written != self.bytes {
                return Err(format!("{}: {written} of {} bytes", tool.name(), self.bytes).into());
            }
        }
        Ok(times)
    }

    /// Runs the rounds, each in the reverse order of the last. Compares the outputs with the input
    /// at the end.
    fn measure(&self, rounds: u64) -> Result<Vec<(Tool, Duration)>> {
        let mut times = Vec::new();
        let mut order = Tool::ALL;
        for _ in 0..rounds {
            times.append(&mut self.round(&order)?);
            order.reverse();
        }
        for tool in Tool::ALL {
            if !is_equal(&self.input, &self.output(tool))? {
                return Err(format!("{}: the output differs", tool.name()).into());
            }
            self.remove(tool)?;
        }
        Ok(times)
    }

    fn remove(&self, tool: Tool) -> io::Result<()> {
        match fs::remove_file(self.output(tool)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A run of its own, because looking at the memory slows it down.
    fn peak_memory(&self) -> Result<Peak> {
        self.remove(Tool::Alq)?;
        let mut child = self.start(Tool::Alq)?;
        let proc = PathBuf::from(format!("/proc/{}", child.id()));
        let mut peak = Peak::default();
        while child.try_wait()?.is_none() {
            peak.look(&proc);
            thread::sleep(Duration::from_millis(2));
        }
        Ok(peak)
    }
}

/// The largest memory seen, in KiB.
#[derive(Debug, Default)]
struct Peak {
    pss: u64,
    resident: u64,
    samples: u64,
}

impl Peak {
    fn look(&mut self, proc: &Path) {
        let field = |file, name| {
            let text = fs::read_to_string(proc.join(file)).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        if let Some(pss) = field("smaps_rollup", "Pss:") {
            self.pss = self.pss.max(pss);
            self.samples += 1;
        }
        if let Some(resident) = field("status", "VmHWM:") {
            self.resident = self.resident.max(resident);
        }
    }
}

/// Fills a file with bytes that no tool could shorten.
fn fill(path: &Path, bytes: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = bytes;
    while left > 0 {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let count = left.min(8);
        file.write_all(&state.to_le_bytes()[..count as usize])?;
        left -= count;
    }
    file.flush()?;
    Ok(())
}

fn is_equal(one: &Path, other: &Path) -> Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        Read::by_ref(&mut one)
            .take(1 << 20)
            .read_to_end(&mut left)?;
        Read::by_ref(&mut other)
            .take(1 << 20)
            .read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

fn report(times: &[(Tool, Duration)], bytes: u64) {
    println!("{bytes} bytes, {} rounds", times.len() / Tool::ALL.len());
    println!(
        "{:<20} {:>9} {:>9} {:>9} {:>8}",
        "", "median s", "min s", "max s", "GB/s"
    );
    let medians = Tool::ALL.map(|tool| {
        let mut seconds: Vec<f64> = times
            .iter()
            .filter(|(of, _)| *of == tool)
            .map(|(_, time)| time.as_secs_f64())
            .collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        let (min, max) = (seconds[0], seconds[seconds.len() - 1]);
        let rate = bytes as f64 / median / 1e9;
        println!(
            "{:<20} {median:>9.3} {min:>9.3} {max:>9.3} {rate:>8.3}",
            tool.name()
        );
        median
    });
    println!(
        "ratio of the medians, alq / cat: {:.3}",
        medians[0] / medians[1]
    );
}

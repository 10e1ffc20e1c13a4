//! `alq append` against the log catchers of daemontools, runit, s6 and Apache: lines from a pipe
//! into files in memory, rotated at 16 MB (the most that multilog knows), with and without time
//! stamps.
//!
//! Each tool has a turn in each round, and the order rotates, so that other load on the machine
//! hits all of them. Medians are compared. The files that a tool leaves must be as long as its
//! input. A tool that is not installed is left out, with a message. `ALQ_BENCH_BYTES` sets the
//! length of the input (64 MiB), `ALQ_BENCH_ROUNDS` the rounds (7), `ALQ_BENCH_WRITE` how much the
//! writer of the pipe writes at once (4096, as stdio does), `ALQ_BENCH_ONLY` leaves out tools
//! without that text in their name.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What multilog rotates at, at most.
const FILE_SIZE: usize = 16_777_215;

fn main() -> Result<()> {
    if env::args().any(|arg| arg == "--test") {
        return Ok(()); // `cargo test --benches` only wants to know that it starts
    }
    let bytes = setting("ALQ_BENCH_BYTES", 64 << 20)?;
    let rounds = setting("ALQ_BENCH_ROUNDS", 7)?.max(1);
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)?
    } else {
        println!("no /dev/shm: the figures are those of the disk");
        tempfile::tempdir()?
    };
    let bench = Bench {
        dir: dir.path().to_owned(),
        input: text(bytes),
        write_len: setting("ALQ_BENCH_WRITE", 4096)?.max(1),
    };
    for stamped in [false, true] {
        let of_kind = TOOLS.iter().filter(|tool| tool.stamped == stamped);
        let tools: Vec<&Tool> = of_kind.filter(|tool| tool.is_here()).collect();
        bench.measure(&tools, rounds)?;
    }
    Ok(())
}

fn setting(name: &str, default: usize) -> Result<usize> {
    match env::var(name) {
        Ok(text) => Ok(text
            .parse()
            .map_err(|error| format!("{name}={text}: {error}"))?),
        Err(_) => Ok(default),
    }
}

/// Lines such as a web server has, of 100 bytes on average.
fn text(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 200);
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    while text.len() < bytes {
        // xorshift64
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let path = "x".repeat((dice % 64) as usize);
        let (host, status) = (dice % 251, 200 + dice % 4);
        let line = format!(
            "192.0.2.{host} - - \"GET /{path} HTTP/1.1\" {status} {}\n",
            dice % 100_000_000
        );
        text.extend(line.into_bytes());
    }
    text
}

#[derive(Debug)]
struct Tool {
    name: &'static str,
    stamped: bool,
    /// The program and its arguments; `{}` is the folder that it may use, `{size}` the size of a
    /// file.
    command: &'static [&'static str],
}

const ALQ: &str = env!("CARGO_BIN_EXE_alq");

const TOOLS: [Tool; 9] = [
    Tool {
        name: "alq append",
        stamped: false,
        command: &[ALQ, "append", "--quiet", "--rotate-size={size}", "{}/log"],
    },
    Tool {
        name: "rotatelogs",
        stamped: false,
        command: &["rotatelogs", "-n", "1000", "{}/log", "{size}B"],
    },
    Tool {
        name: "multilog",
        stamped: false,
        command: &["multilog", "s{size}", "n1000", "{}/log"],
    },
    Tool {
        name: "svlogd",
        stamped: false,
        command: &["svlogd", "-b", "65536", "{}"],
    },
    Tool {
        name: "s6-log",
        stamped: false,
        command: &["s6-log", "-b", "n1000", "s{size}", "{}/log"],
    },
    Tool {
        name: "alq append --timestamp=tai64n",
        stamped: true,
        command: &[
            ALQ,
            "append",
            "--quiet",
            "--timestamp=tai64n",
            "--rotate-size={size}",
            "{}/log",
        ],
    },
    Tool {
        name: "multilog t",
        stamped: true,
        command: &["multilog", "t", "s{size}", "n1000", "{}/log"],
    },
    Tool {
        name: "svlogd -t",
        stamped: true,
        command: &["svlogd", "-t", "-b", "65536", "{}"],
    },
    Tool {
        name: "s6-log t",
        stamped: true,
        command: &["s6-log", "-b", "t", "n1000", "s{size}", "{}/log"],
    },
];

impl Tool {
    fn is_here(&self) -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        let only = env::var("ALQ_BENCH_ONLY").unwrap_or_default();
        if !self.name.contains(&only) && !self.name.starts_with("alq") {
            return false;
        }
        let is_here = env::split_paths(&path).any(|dir| dir.join(self.command[0]).is_file());
        if !is_here {
            println!("{}: left out, it is not here", self.name);
        }
        is_here
    }

    fn command(&self, dir: &Path) -> Command {
        let place = |arg: &&str| {
            arg.replace("{}", &dir.display().to_string())
                .replace("{size}", &FILE_SIZE.to_string())
        };
        let mut command = Command::new(self.command[0]);
        command.args(self.command[1..].iter().map(place));
        command
    }
}

#[derive(Debug)]
struct Bench {
    dir: PathBuf,
    input: Vec<u8>,
    write_len: usize,
}

impl Bench {
    fn measure(&self, tools: &[&Tool], rounds: usize) -> Result<()> {
        for tool in tools {
            self.turn(tool)?; // pays for cold caches
        }
        let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); tools.len()];
        for round in 0..rounds {
            for turn in 0..tools.len() {
                let number = (round + turn) % tools.len();
                seconds[number].push(self.turn(tools[number])?);
            }
        }
        self.report(tools, &seconds);
        Ok(())
    }

    /// Gives a tool all of the input, and says how long it took until it had ended.
    fn turn(&self, tool: &Tool) -> Result<f64> {
        let dir = self.dir.join("turn");
        fs::create_dir(&dir)?;
        fs::write(dir.join("config"), format!("s{FILE_SIZE}\nn0\n"))?; // svlogd's
        let mut command = tool.command(&dir);
        command.stdin(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn()?;
        let mut pipe = child.stdin.take().ok_or("no pipe")?;
        for piece in self.input.chunks(self.write_len) {
            pipe.write_all(piece)?;
        }
        drop(pipe);
        let status = child.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        fs::remove_file(dir.join("config"))?;
        let found = len_below(&dir)?;
        fs::remove_dir_all(&dir)?;
        let stamps = memchr::memchr_iter(b'\n', &self.input).count() * 26;
        let expected = self.input.len() + if tool.stamped { stamps } else { 0 };
        if !status.success() || found != expected as u64 {
            return Err(format!("{}: {status}, {found} of {expected} bytes", tool.name).into());
        }
        Ok(seconds)
    }

    fn report(&self, tools: &[&Tool], seconds: &[Vec<f64>]) {
        println!(
            "{} bytes in writes of {}, {} rounds",
            self.input.len(),
            self.write_len,
            seconds[0].len()
        );
        println!(
            "{:<30} {:>9} {:>9} {:>9} {:>8} {:>22}",
            "", "median s", "min s", "max s", "MB/s", "its time / that of alq"
        );
        for (number, tool) in tools.iter().enumerate() {
            let (min, median, max) = spread(&seconds[number]);
            let rate = self.input.len() as f64 / median / 1e6;
            let ratios: Vec<f64> = seconds[number]
                .iter()
                .zip(&seconds[0])
                .map(|(its, ours)| its / ours)
                .collect();
            let (low, ratio, high) = spread(&ratios);
            println!(
                "{:<30} {median:>9.3} {min:>9.3} {max:>9.3} {rate:>8.0} {:>22}",
                tool.name,
                format!("{ratio:.2} ({low:.2} to {high:.2})")
            );
        }
    }
}

fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    )
}

/// How long all files below the folder are together.
fn len_below(dir: &Path) -> Result<u64> {
    let mut len = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        len += if metadata.is_dir() {
            len_below(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(len)
}

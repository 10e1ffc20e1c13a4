//! `alq append --nats` and `alq recover --nats`: the program `alq-nats` carries them out. It is
//! separate because the client of NATS needs a newer Rust and more than a hundred packages.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::report::{self, Failure};

/// The program. Its subcommands are named as those of `alq` are.
const PROGRAM: &str = "alq-nats";

/// The exit codes of shells for a program that cannot be run, and for one that does not exist.
const NOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// If the command line of this process has `--nats`, runs `alq-nats` in its place, with the same
/// arguments, and returns only if that fails. Must be called before signals are blocked.
pub fn hand_over() -> Option<Failure> {
    let words: Vec<_> = env::args_os().skip(1).collect();
    if !is_asked(&words) {
        return None;
    }
    let alq = env::current_exe().unwrap_or_default();
    let beside = alq.with_file_name(PROGRAM);
    let program = if beside.is_file() {
        beside.as_path()
    } else {
        Path::new(PROGRAM) // exec searches PATH
    };
    let error = Command::new(program).args(words).exec();
    if error.kind() == io::ErrorKind::NotFound {
        let problem = format!(
            "{PROGRAM}, which writes to NATS JetStream, is neither beside {} nor in PATH: install \
             it from the repository of alq with `cargo install --path crates/nats --features tool`",
            report::shown(&alq)
        );
        return Some(Failure::new("--nats", problem).or_code(NOT_FOUND));
    }
    Some(Failure::new(report::shown(program), error).or_code(NOT_RUN))
}

/// Returns whether `alq WORDS` is for `alq-nats`. What follows `--` is another command.
fn is_asked(words: &[OsString]) -> bool {
    let Some((command, options)) = words.split_first() else {
        return false;
    };
    let is_nats = |word: &OsStr| word == "--nats" || word.as_bytes().starts_with(b"--nats=");
    let own = options.iter().take_while(|word| *word != "--");
    (command == "append" || command == "recover") && own.into_iter().any(|word| is_nats(word))
}

/// Says how `alq` recovers a ring whose log is a subject of JetStream; `None` if `place` is none.
/// The owner of a ring file can put any place into it, so only plain names become part of a command.
pub fn recovery(ring: &Path, place: &str) -> Option<String> {
    let is_plain = |name: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        !name.starts_with('-') && name.chars().all(plain)
    };
    let (stream, subject) = place.strip_prefix("nats:")?.split_once('/')?;
    let options = format!("--nats URLS --stream {stream} --subject {subject}");
    let ring = report::shown(ring);
    (is_plain(stream) && is_plain(subject))
        .then(|| format!("publish the records with alq recover {ring} {options}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_found_where_it_is_one() {
        let asked = |line: &str| is_asked(&line.split(' ').map(Into::into).collect::<Vec<_>>());
        assert!(asked("append --nats nats://host --stream s"));
        assert!(asked("append --ring r --nats=nats://host"));
        assert!(asked("recover ring --nats nats://host"));
        assert!(!asked("append log -- ship --nats nats://host"));
        assert!(!asked("stat --nats"));
        assert!(!asked("append --natsy"));
        assert!(!asked("append nats"));
        assert!(!is_asked(&[]));
    }

    #[test]
    fn only_places_of_nats_name_a_command() {
        let ring = Path::new("/run/ring");
        let expected =
            "publish the records with alq recover /run/ring --nats URLS --stream s --subject s.a";
        assert_eq!(recovery(ring, "nats:s/s.a").as_deref(), Some(expected));
        for place in [
            "kafka:s/s.a",
            "nats:s",
            "nats:s/s.a;reboot",
            "nats:--into/s",
        ] {
            assert_eq!(recovery(ring, place), None, "{place}");
        }
    }
}

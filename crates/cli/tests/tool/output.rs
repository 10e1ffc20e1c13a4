//! Promise: `-` appends to standard output, whether it is a pipe, a socket or a file.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::common::{ALQ, DEADLINE, Running, append, assert_same, numbers, pipe, refused, scratch};

#[test]
fn a_pipe_gets_what_is_read() {
    let input = numbers(100_000);
    for file in ["-", "/dev/stdout"] {
        for more in ["--quiet", "--line", "--when-full=drop"] {
            let run = append([more, file]).write_stdin(&*input).assert().success();
            assert_same(&run.get_output().stdout, &input);
        }
    }
}

#[test]
fn lines_of_several_catchers_on_one_pipe_are_whole() {
    let (dir, _) = scratch();
    let (reader, writer) = pipe();
    let words = ["a", "b"];
    let tools: Vec<Running> = words
        .iter()
        .map(|word| {
            let source = dir.path().join(word);
            fs::write(&source, (word.repeat(99) + "\n").repeat(20_000)).unwrap();
            let mut command = Command::new(ALQ);
            command.args(["append", "--quiet", "--line", "-"]);
            command.stdout(writer.try_clone().unwrap());
            Running::start(&mut command, File::open(&source).unwrap())
        })
        .collect();
    drop(writer);
    let found = std::io::read_to_string(File::from(reader)).unwrap();
    tools
        .into_iter()
        .for_each(|mut tool| assert!(tool.end().success()));
    for word in words {
        let line = word.repeat(99);
        assert_eq!(found.lines().filter(|found| *found == line).count(), 20_000);
    }
}

#[test]
fn a_socket_gets_it_too() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (dir, _) = scratch();
    let source = dir.path().join("source");
    fs::write(&source, numbers(50_000)).unwrap();
    for file in ["-", "/dev/stdout"] {
        let mut command = Command::new(ALQ);
        command.args(["append", "--quiet", file]);
        command.stdout(OwnedFd::from(theirs.try_clone().unwrap()));
        let mut tool = Running::start(&mut command, File::open(&source).unwrap());
        let mut found = vec![0; numbers(50_000).len()];
        (&ours).read_exact(&mut found).unwrap();
        assert_same(&found, &numbers(50_000));
        assert!(tool.end().success());
    }
}

/// Runs `alq append ARGS -` with `input` and this standard output, and returns its exit code and
/// what it has said.
fn append_to(out: OwnedFd, input: &[u8], args: &[&str]) -> (Option<i32>, String) {
    let (dir, _) = scratch();
    let source = dir.path().join("source");
    fs::write(&source, input).unwrap();
    let mut command = Command::new(ALQ);
    command.args(["append", "--quiet"]).args(args).arg("-");
    command.stdin(File::open(&source).unwrap()).stdout(out);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

fn messages(mut read: impl FnMut(&mut [u8]) -> usize, count: usize) -> Vec<String> {
    let mut piece = vec![0; 1 << 13];
    let mut message = || {
        let len = read(&mut piece);
        String::from_utf8(piece[..len].to_vec()).unwrap()
    };
    (0..count).map(|_| message()).collect()
}

#[test]
fn a_socket_of_datagrams_gets_each_line_as_one() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_read_timeout(Some(DEADLINE)).unwrap();
    let theirs = || OwnedFd::from(theirs.try_clone().unwrap());
    let input = b"one\ntwo\nan open end";
    for args in [&["--line"][..], &["--framing=lines"], &["--when-full=drop"]] {
        assert_eq!(append_to(theirs(), input, args), (Some(0), String::new()));
        let found = messages(|piece| ours.recv(piece).unwrap(), 3);
        assert_eq!(found, ["one\n", "two\n", "an open end\n"], "{args:?}");
    }
    let stamped = append_to(theirs(), b"one\ntwo\n", &["--timestamp=tai64n"]);
    assert_eq!(stamped, (Some(0), String::new()));
    for line in messages(|piece| ours.recv(piece).unwrap(), 2) {
        assert!(line.starts_with('@') && line.len() == 30, "{line}");
    }
    let (code, said) = append_to(theirs(), input, &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("it takes messages: send each line"), "{said}");
}

#[test]
fn a_line_that_is_too_long_for_a_socket_is_lost_alone_and_that_is_said() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_read_timeout(Some(DEADLINE)).unwrap();
    let long = "x".repeat(600_000);
    let input = format!("one\n{long}\ntwo\n");
    let args = ["--line-max=1M", "--capacity=8M"];
    let (code, said) = append_to(theirs.into(), input.as_bytes(), &args);
    assert_eq!(code, Some(1));
    assert!(said.contains("lost: 1 records of 600001 bytes"), "{said}");
    let found = messages(|piece| ours.recv(piece).unwrap(), 2);
    assert_eq!(found, ["one\n", "two\n"]);
}

/// A line that is longer is split where a longer one than `--line-max` is.
#[test]
fn a_pipe_in_packet_mode_gets_packets() {
    let flags = PipeFlags::CLOEXEC | PipeFlags::DIRECT;
    let (ours, theirs) = pipe_with(flags).unwrap();
    let input = format!("one\n{}\ntwo\n", "x".repeat(5000));
    let run = append_to(theirs, input.as_bytes(), &["--line"]);
    assert_eq!(run, (Some(0), String::new()));
    let mut ours = File::from(ours);
    let found = messages(|piece| ours.read(piece).unwrap(), 4);
    let lens: Vec<usize> = found.iter().map(String::len).collect();
    assert_eq!(lens, [4, 4089, 913, 4]);
    assert!(found.iter().all(|line| line.ends_with('\n')));
}

#[test]
fn a_file_is_written_where_the_descriptor_is() {
    let (dir, log) = scratch();
    fs::write(&log, "before\n").unwrap();
    let source = dir.path().join("source");
    fs::write(&source, "after\n").unwrap();
    let mut command = Command::new(ALQ);
    command.args(["append", "--quiet", "--fsync", "-"]);
    command.stdout(File::options().append(true).open(&log).unwrap());
    let mut tool = Running::start(&mut command, File::open(&source).unwrap());
    assert!(tool.end().success());
    assert_eq!(fs::read_to_string(&log).unwrap(), "before\nafter\n");
}

#[test]
fn a_reader_that_has_gone_is_an_error_of_standard_output() {
    let (reader, writer) = pipe();
    drop(reader);
    let (dir, _) = scratch();
    let source = dir.path().join("source");
    fs::write(&source, "lost\n").unwrap();
    let mut command = Command::new(ALQ);
    command.args(["append", "--quiet", "-"]).stdout(writer);
    let mut tool = Running::start(&mut command, File::open(&source).unwrap());
    assert_eq!(tool.end().code(), Some(1));
    let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
    assert!(
        said.starts_with("alq: standard output: cannot write: Broken pipe"),
        "{said}"
    );
}

#[test]
fn a_file_of_that_name_needs_its_directory() {
    let (dir, _) = scratch();
    append(["./-"])
        .current_dir(&dir)
        .write_stdin("x")
        .assert()
        .success();
    assert_eq!(fs::read(dir.path().join("-")).unwrap(), b"x");
}

#[test]
fn what_has_no_name_is_not_rotated() {
    for file in ["-", "/dev/stdout"] {
        let parts = ["standard output", "cannot be rotated"];
        refused(
            append(["--rotate-size=1K", file]).write_stdin("x"),
            2,
            &parts,
        );
    }
    assert!(!Path::new("-").exists());
}

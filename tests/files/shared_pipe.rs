//! If several processes write to one pipe, no record is cut by another process's record.

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::common::child::in_its_file;
use crate::common::{Record, WAIT, assert_complete, parse, pipe};
use alq::Options;

/// Set in a process that writes: its first writer.
const WRITER: &str = "ALQ_PIPE_WRITER";
const RECORDS: u32 = 20_000;

/// Two writers of one process, one with a lane and one without: 40,000 records of 20 to 219 bytes.
fn write_records(first: usize) {
    let queue = Options::new().open_fd(std::io::stdout()).unwrap();
    let record = |writer, seq: u32| {
        let len = Record::MIN_LEN + (seq as usize * 37 + writer) % 200;
        Record { writer, seq, len }.text()
    };
    std::thread::scope(|scope| {
        let mut lane = queue.lane();
        scope.spawn(move || {
            for seq in 0..RECORDS {
                lane.writen(record(first, seq).as_bytes(), WAIT).unwrap();
            }
        });
        for seq in 0..RECORDS {
            queue
                .writen(record(first + 1, seq).as_bytes(), WAIT)
                .unwrap();
        }
    });
    queue.close(None).unwrap();
}

#[test]
fn records_of_several_processes_on_one_pipe_are_whole() {
    if let Ok(first) = env::var(WRITER) {
        write_records(first.parse().unwrap());
        std::process::exit(0); // before the test harness writes to the pipe
    }
    let (mut reader, writer) = pipe().unwrap();
    let test = "records_of_several_processes_on_one_pipe_are_whole";
    let start = |first: usize| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", &in_its_file(test), "--nocapture", "--quiet"]);
        command.env(WRITER, first.to_string()).stdin(Stdio::null());
        command.stdout(writer.try_clone().unwrap());
        command.spawn().unwrap()
    };
    let children = [0, 2, 4].map(start);
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let text = String::from_utf8(bytes).unwrap();
    // The harness of each process says at its start that it runs one test.
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && *line != "running 1 test");
    let records: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert_complete(&parse(records.as_bytes()), &[RECORDS; 6]);
}

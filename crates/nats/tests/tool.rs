//! The program `alq-nats`.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::{Cluster, reader};
use rustix::process::Signal;

fn append(cluster: &Cluster, ring: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alq-nats"));
    command
        .args(["append", "--nats", &cluster.urls(), "--stream", "tool"])
        .args(["--subject", "tool.log", "--capacity", "1M", "--ring"])
        .arg(ring)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().unwrap();
    // A program that refuses to start does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn lines(cluster: &Cluster) -> Vec<String> {
    let messages = reader::read(&cluster.urls(), "tool");
    let text = |message: &reader::Message| String::from_utf8(message.payload.clone()).unwrap();
    messages.iter().map(text).collect()
}

#[test]
fn lines_are_appended_and_another_ring_file_is_refused_until_it_takes_over() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (ring, other) = (folder.path().join("ring"), folder.path().join("other"));
    let first = append(&cluster, &ring);
    let output = run(first, "a\n");
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("there is no stream tool"), "{message}");
    assert!(message.contains("(--create REPLICAS)"), "{message}");

    let mut created = append(&cluster, &ring);
    created.args(["--create", "1"]);
    let output = run(created, "a\nb\nno newline");
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stderr).contains("1 replica"), "{output:?}");
    let output = run(append(&cluster, &ring), &"x".repeat(200_000));
    assert!(output.status.success(), "{output:?}");

    let output = run(append(&cluster, &other), "lost\n");
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("a subject has one writer"), "{message}");
    assert!(message.contains("take over (--take-over)"), "{message}");
    let mut taken = append(&cluster, &other);
    taken.arg("--take-over");
    let output = run(taken, "of the other\n");
    assert!(output.status.success(), "{output:?}");

    let many: String = (0..100_000)
        .map(|number| format!("{number}\n"))
        .collect::<Vec<_>>()
        .concat();
    let output = run(append(&cluster, &other), &many);
    assert!(output.status.success(), "{output:?}");

    let expected = ["a", "b", "no newline", &"x".repeat(200_000), "of the other"];
    let mut read = vec![String::new()];
    for message in reader::read(&cluster.urls(), "tool") {
        read.last_mut().unwrap().push_str(text(&message.payload));
        if !message.more {
            read.push(String::new());
        }
    }
    read.pop();
    assert_eq!(read[expected.len()..].join("\n") + "\n", many);
    assert_eq!(read[..expected.len()], expected);
}

#[test]
fn what_no_server_takes_stays_in_the_ring_file_and_is_recovered() {
    let Some(mut cluster) = common::cluster(1) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring");
    let mut created = append(&cluster, &ring);
    created.args(["--create", "1"]);
    assert!(run(created, "before\n").status.success());

    cluster.kill_node(0);
    let mut child = append(&cluster, &ring).spawn().unwrap(); // starts without a server
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"during\n").unwrap();
    wait_for_bytes(&ring, 7);
    common::signal_child(&child, Signal::TERM).unwrap();
    let output = end(child);
    drop(input);
    let message = text(&output.stderr);
    assert!(
        message.contains("7 bytes are not stored and stay in"),
        "{message}"
    );
    assert!(message.contains("no connection ("), "{message}");
    assert!(message.contains(&cluster.urls()), "{message}");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&output.status),
        Some(15)
    );

    cluster.start_node(0);
    let mut recover = Command::new(env!("CARGO_BIN_EXE_alq-nats"));
    recover.arg("recover").arg(&ring);
    recover.args([
        "--nats",
        &cluster.urls(),
        "--stream",
        "tool",
        "--subject",
        "tool.log",
    ]);
    let output = recover.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("found 7 bytes"), "{output:?}");
    assert_eq!(lines(&cluster), ["before", "during"]);
}

/// Waits until the ring file holds this many bytes that are not written.
fn wait_for_bytes(ring: &Path, bytes: u64) {
    common::until("the input to be in the ring file", || {
        let state = alq::ring_file::inspect(ring).ok()?;
        (state.in_use && state.pending.bytes == bytes).then_some(())
    });
}

fn end(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

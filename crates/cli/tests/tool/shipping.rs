//! Promise: with `--nats`, `append` and `recover` are carried out by the program `alq-nats`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::{ALQ, DEADLINE, name, refused, scratch};

/// What stands in for `alq-nats`: it prints its arguments, input and blocked signals.
const SCRIPT: &str = r#"#!/bin/sh
printf '%s,' "$@"
cat
grep SigBlk /proc/self/status
exit 5
"#;

fn put(folder: &Path) {
    let path = folder.join("alq-nats");
    fs::write(&path, SCRIPT).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Copies the tool to a folder in which it is alone. The other folder is for PATH.
fn alone() -> (TempDir, PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let alq = folder.path().join("alq");
    fs::copy(ALQ, &alq).unwrap();
    (folder, alq, tempfile::tempdir().unwrap())
}

fn command(alq: &Path, path: &Path, words: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(alq);
    let found = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{found}", name(path)));
    command.args(words).timeout(DEADLINE);
    command
}

#[test]
fn the_arguments_and_the_input_go_to_alq_nats_and_its_exit_code_comes_back() {
    for is_beside in [true, false] {
        let (folder, alq, path) = alone();
        put(if is_beside {
            folder.path()
        } else {
            path.path()
        });
        for words in [
            ["append", "--nats", "nats://a,nats://b", "--ring", "x y"],
            ["recover", "x y", "--nats=nats://a", "--stream", "s"],
        ] {
            let mut command = command(&alq, path.path(), &words);
            let run = command.write_stdin("input\n").assert().code(5).stderr("");
            let said = String::from_utf8(run.get_output().stdout.clone()).unwrap();
            let passed = format!("{},input\nSigBlk:\t0000000000000000\n", words.join(","));
            assert_eq!(said, passed);
        }
    }
}

#[test]
fn without_alq_nats_the_message_says_how_to_get_it() {
    let (_folder, alq, path) = alone();
    let words = ["append", "--nats", "nats://a"];
    let parts = ["--nats: ", name(&alq), "in PATH", "cargo install"];
    refused(&mut command(&alq, path.path(), &words), 127, &parts);
    fs::write(path.path().join("alq-nats"), "").unwrap(); // is no program
    let mut only = command(&alq, path.path(), &words);
    refused(only.env("PATH", path.path()), 126, &["alq-nats", "denied"]);
}

#[test]
fn an_option_of_the_command_after_two_dashes_is_left_to_it() {
    let (_folder, alq, path) = alone();
    put(path.path());
    let (_dir, log) = scratch();
    let words = ["append", name(&log), "--", "echo", "--nats"];
    command(&alq, path.path(), &words).assert().success();
    assert_eq!(fs::read_to_string(log).unwrap(), "--nats\n");
}

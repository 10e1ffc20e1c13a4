//! Promise: each error is one line that names its subject, and has an exit code.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::common::disk::SmallDisk;
use crate::common::{
    ALQ, Running, append, fifo, name, numbers, pipe, refused, scratch, wait_until,
};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

#[test]
fn a_symbolic_link_is_followed_only_when_asked() {
    let (dir, log) = scratch();
    let link = dir.path().join("link");
    symlink(&log, &link).unwrap();
    let parts = [name(&link), "symbolic link", "--follow-links"];
    refused(append([&link]).write_stdin("x"), 1, &parts);
    assert!(!log.exists());
    append(["--follow-links"])
        .arg(&link)
        .write_stdin("x")
        .assert()
        .success();
    assert_eq!(fs::read(&log).unwrap(), b"x");
}

#[test]
fn a_loop_of_links_is_no_reason_to_follow_links() {
    let (dir, _) = scratch();
    let link = dir.path().join("link");
    symlink(&link, &link).unwrap();
    let run = append(["--follow-links"]).arg(&link).assert().code(1);
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(!said.contains("--follow-links"), "{said}");
}

#[test]
fn a_missing_directory_is_named() {
    let (dir, _) = scratch();
    let path = dir.path().join("missing/out.log");
    refused(
        &mut append([&path]),
        1,
        &[name(&path), "No such file", "folder must exist"],
    );
}

#[test]
fn a_directory_is_no_file() {
    let (dir, _) = scratch();
    refused(
        &mut append([dir.path()]),
        1,
        &[name(dir.path()), "Is a directory"],
    );
}

#[test]
fn a_file_that_may_not_be_written_is_named() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: running as root, to whom everything is permitted");
        return;
    }
    let (_dir, log) = scratch();
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o400)).unwrap();
    refused(&mut append([&log]), 1, &[name(&log), "Permission denied"]);
}

#[test]
fn wrong_values_of_options_are_wrong_usage() {
    let (_dir, log) = scratch();
    for value in ["0", "", "ten", "-1", "3G", "2147483649", "K", "1X"] {
        let mut command = append(["--capacity", value]);
        refused(command.arg(&log), 2, &["--capacity", value, "1 byte to 2G"]);
    }
    for value in ["", "9", "rw-", "-600", "10000"] {
        let mut command = append(["--mode", value]);
        refused(command.arg(&log), 2, &["--mode", value, "octal"]);
    }
    for value in ["", "-1", "5s", "NaN"] {
        let mut command = append(["--stall-limit", value]);
        refused(
            command.arg(&log),
            2,
            &["--stall-limit", value, "a number of seconds", "forever"],
        );
    }
    assert!(!log.exists());
}

#[test]
fn values_that_others_write_are_understood_or_named() {
    let (_dir, log) = scratch();
    let log = name(&log);
    for args in [
        ["--rotate-every", "daily"],
        ["--rotate-every", "1d"],
        ["--compress", "gz"],
    ] {
        let args = args.into_iter().chain(["--rotate-at-start", log]);
        append(args).write_stdin("").assert().success();
    }
    refused(
        &mut append(["--keep=ten", log]),
        2,
        &["--keep ten", "a number of files"],
    );
    refused(
        &mut append(["--keep-age=7", log]),
        2,
        &["--keep-age 7", "with a unit", "30d"],
    );
    for rounds in ["0", "1001", "x"] {
        let parts = [&*format!("--rounds {rounds}: it must be 1 to 1000")];
        refused(
            &mut crate::common::alq(["bench", "--rounds", rounds]),
            2,
            &parts,
        );
    }
}

#[test]
fn a_time_stamp_without_its_sign_is_not_taken_for_a_file() {
    let (dir, log) = scratch();
    for format in ["iso", "tai64n", "%H:%M"] {
        let parts = [&*format!("write --timestamp={format}")];
        refused(&mut append(["--timestamp", format, name(&log)]), 2, &parts);
        refused(append(["--timestamp", format]).current_dir(&dir), 2, &parts);
        assert!(!dir.path().join(format).exists());
    }
}

#[test]
fn misspelt_options_and_commands_get_a_suggestion() {
    let said = |command: &mut assert_cmd::Command| {
        let run = command.assert().code(2);
        String::from_utf8(run.get_output().stderr.clone()).unwrap()
    };
    let option = said(&mut append(["--time-stamp", "log"]));
    assert!(option.contains("'--timestamp'"), "{option}");
    let command = said(&mut crate::common::alq(["apend", "log"]));
    assert!(command.contains("'append'"), "{command}");
}

#[test]
fn clap_has_code_2_for_the_rest() {
    append::<&str>([]).assert().code(2);
    append(["--no-such-option", "x"]).assert().code(2);
    assert_cmd::Command::new(ALQ).assert().code(2);
    let version = assert_cmd::Command::new(ALQ)
        .arg("--version")
        .assert()
        .success();
    version.stdout(concat!("alq ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = append(["--help"]).assert().success();
    let said = String::from_utf8_lossy(&help.get_output().stdout).into_owned();
    assert!(
        said.contains("Exit codes") && said.contains("--capacity"),
        "{said}"
    );
}

#[test]
fn a_full_disk_is_an_error_with_numbers() {
    let parts = [
        "/dev/full",
        "No space left",
        "0 bytes are written",
        "6 bytes are read",
    ];
    given_up(&["--stall-limit=0.2"], b"hello\n", &parts);
    given_up(&["--quiet", "--stall-limit=0.2"], b"hello\n", &parts);
    // More than the ring holds: a thread that waits for room gets the error too.
    let much = vec![b'x'; 1 << 20];
    let parts = ["No space left", "0 bytes are written"];
    given_up(&["--capacity=4096", "--stall-limit=0.2"], &much, &parts);
}

/// Appends to a full disk: the tool reports the stall at once, and gives up at the end.
#[track_caller]
fn given_up(args: &[&str], input: &[u8], parts: &[&str]) {
    let args = args.iter().copied().chain(["/dev/full"]);
    let run = append(args).write_stdin(input).assert().code(1);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    let (first, last) = said.trim_end().split_once('\n').expect(&said);
    assert!(first.contains("bytes in memory and retrying"), "{said}");
    for part in parts {
        assert!(last.contains(part), "no {part:?} in: {last}");
    }
}

#[test]
fn a_disk_that_fills_up_is_an_error_that_says_how_far_it_came() {
    let test = "a_disk_that_fills_up_is_an_error_that_says_how_far_it_came";
    let Some(disk) = SmallDisk::mount(test) else {
        return;
    };
    let log = disk.path().join("out.log");
    let input = numbers(300_000);
    let run = append(["--stall-limit=0.2"])
        .arg(&log)
        .write_stdin(&*input)
        .assert();
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    let code = run.get_output().status.code();
    let found = fs::read(&log).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(!found.is_empty() && input.starts_with(&found));
    let counts = format!("{} bytes are written", found.len());
    for part in ["no room for 0.", "No space left", &counts] {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

#[test]
fn a_full_disk_is_noticed_while_no_input_comes() {
    let (reader, writer) = pipe();
    let mut tool = Running::append(["--stall-limit=0.2", "/dev/full"], reader);
    let mut writer = File::from(writer);
    writer.write_all(b"hello\n").unwrap();
    assert_eq!(tool.end().code(), Some(1)); // with the input still open
    drop(writer);
}

#[test]
fn a_reader_that_goes_away_is_an_error() {
    let (dir, _) = scratch();
    let (path, reader) = fifo(&dir);
    let (input, writer) = pipe();
    let mut tool = Running::append([&path], input);
    let mut writer = File::from(writer);
    writer.write_all(&[b'x'; 1000]).unwrap();
    wait_until("bytes in the FIFO", || {
        rustix::io::ioctl_fionread(&reader).unwrap() == 1000
    });
    drop(reader);
    // For a moment, a child that another test starts may hold a copy of the descriptor.
    let open = || rustix::fs::open(&path, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
    wait_until("no reader", || {
        open().is_err_and(|errno| errno == Errno::NXIO)
    });
    writer.write_all(&[b'y'; 10]).unwrap();
    assert_eq!(tool.end().code(), Some(1));
    let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
    for part in ["Broken pipe", "1000 bytes are written", "10 bytes are read"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn what_cannot_be_synced_is_refused_before_anything_is_read() {
    let (dir, _) = scratch();
    let (path, reader) = fifo(&dir);
    let parts = [name(&path), "--fsync", "cannot be synced", "leave out"];
    refused(append(["--fsync"]).arg(&path).write_stdin("x"), 1, &parts);
    for option in ["--sync-every=1", "--sync-bytes=1M"] {
        let name_of = option.split('=').next().unwrap();
        let parts = [name(&path), name_of, "cannot be synced", "leave out"];
        refused(append([option]).arg(&path).write_stdin("x"), 1, &parts);
    }
    assert_eq!(rustix::io::ioctl_fionread(&reader).unwrap(), 0);
}

#[test]
fn a_directory_is_no_input() {
    let (dir, log) = scratch();
    let mut tool = Running::append([&log], File::open(&dir).unwrap());
    assert_eq!(tool.end().code(), Some(1));
    let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
    assert!(
        said.starts_with("alq: standard input: Is a directory"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_file_is_not_appended_to_itself() {
    let (_dir, log) = scratch();
    fs::write(&log, "once\n").unwrap();
    let mut tool = Running::append([&log], File::open(&log).unwrap());
    assert_eq!(tool.end().code(), Some(1));
    assert_eq!(fs::read(&log).unwrap(), b"once\n");
}

#[test]
fn standard_error_is_not_needed() {
    let (dir, log) = scratch();
    let source = dir.path().join("source");
    fs::write(&source, "x").unwrap();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let run = |target: &Path| {
        let mut command = Command::new(ALQ);
        command.arg("append").arg(target).stderr(full());
        command.stdin(File::open(&source).unwrap());
        command.status().unwrap().code()
    };
    assert_eq!(run(&log), Some(0));
    assert_eq!(run(dir.path()), Some(1));
    assert_eq!(fs::read(&log).unwrap(), b"x");
}

#[test]
fn closed_standard_streams_do_no_harm() {
    let (dir, log) = scratch();
    let script = r#""$0" append "$1" <&- >&- 2>&-"#;
    let run = |target: &Path| {
        let mut command = Command::new("sh");
        command.args(["-c", script, ALQ]).arg(target);
        command.status().unwrap().code()
    };
    assert_eq!(run(&log), Some(0));
    assert_eq!(run(dir.path()), Some(1));
    assert_eq!(fs::read(&log).unwrap(), b"");
}

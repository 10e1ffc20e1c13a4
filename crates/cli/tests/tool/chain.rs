//! `--chain`: what `alq append` writes with a key, `alq check` proves with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::common::{alq, append, name, numbers, scratch};

/// Writes a file with a key.
fn key(folder: &Path, file: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(file);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

/// Appends numbered lines to a log with a chain, with small files that are packed.
fn chained(log: &Path, key: &Path) {
    let options = ["--framing", "checked", "--chain", name(key), "--quiet"];
    let rotation = ["--rotate-size", "64K", "--compress", "zstd"];
    append([name(log)])
        .args(options)
        .args(rotation)
        .write_stdin(numbers(10_000))
        .assert()
        .success();
}

fn check(log: &Path, key: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    alq(["check", "--json", "--chain", name(key), name(log)])
        .args(more)
        .assert()
}

fn json(run: &assert_cmd::assert::Assert) -> serde_json::Value {
    serde_json::from_slice(&run.get_output().stdout).unwrap()
}

#[test]
fn a_chain_is_proved_over_all_files_and_a_change_is_named() {
    let (dir, log) = scratch();
    let key = key(
        dir.path(),
        "key",
        &[b"0123456789abcdef".repeat(4), b"\n".to_vec()].concat(),
    );
    chained(&log, &key);
    chained(&log, &key);
    let run = check(&log, &key, &[]).success();
    let report = json(&run);
    assert_eq!(report["records"], 20_000);
    assert_eq!(report["chain"]["first_frame"], 0);
    let proven = report["chain"]["proven"].as_str().unwrap().to_owned();
    check(&log, &key, &["--least", &proven]).success();
    let frames = proven.split(':').next().unwrap();
    check(&log, &key, &["--least", frames]).success();
    let plain = alq(["check", "--chain", name(&key), name(&log)])
        .assert()
        .success();
    let text = String::from_utf8(plain.get_output().stdout.clone()).unwrap();
    assert!(
        text.contains(&format!("frames from 0 to {proven}")),
        "{text}"
    );
    // Cut off at a close: the end is right, but it is not the one that was seen.
    let more = format!("{}", frames.parse::<u64>().unwrap() + 1);
    let run = check(&log, &key, &["--least", &more]).code(3);
    assert_eq!(json(&run)["findings"][0]["notice"], "other_past");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 1]).unwrap();
    let run = check(&log, &key, &[]).code(3);
    let findings = &json(&run)["findings"];
    assert_eq!(findings[0]["notice"], "torn");
    assert_eq!(findings[1]["notice"], "not_closed");
    fs::write(&log, &bytes[..80]).unwrap();
    check(&log, &key, &["--running"]).code(3); // torn
    fs::write(&log, &bytes[..64]).unwrap();
    check(&log, &key, &[]).code(3);
    check(&log, &key, &["--running"]).success();
}

#[test]
fn a_key_comes_from_a_file_that_only_its_user_may_read() {
    let (dir, log) = scratch();
    let folder = dir.path();
    let good = key(folder, "good", &[7; 32]);
    chained(&log, &good);
    let open = key(folder, "open", &[7; 32]);
    fs::set_permissions(&open, Permissions::from_mode(0o640)).unwrap();
    let link = folder.join("link");
    symlink(&good, &link).unwrap();
    for (path, problem) in [
        (open, "other users may use it (mode 640): chmod 600"),
        (link, "it is a symbolic link"),
        (folder.join("none"), "No such file"),
        (folder.to_owned(), "it is not a regular file"),
        (
            key(folder, "short", &[7; 31]),
            "it holds no key: 32 random bytes",
        ),
        (
            key(folder, "long", &[7; 200]),
            "it holds no key: 32 random bytes",
        ),
    ] {
        let check = check(&log, &path, &[]).code(1);
        let mut append = append([name(&log), "--framing", "checked", "--chain", name(&path)]);
        for run in [check, append.write_stdin("x\n").assert().code(1)] {
            let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
            let begin = format!("alq: --chain: {}: ", name(&path));
            assert!(said.starts_with(&begin) && said.contains(problem), "{said}");
        }
    }
    let other = key(folder, "other", &[8; 32]);
    let run = check(&log, &other, &[]).code(3);
    assert_eq!(json(&run)["findings"][0]["notice"], "other_key");
    assert_eq!(json(&run)["faults"], 1);
    for options in [
        &["--framing", "checked"][..],
        &["--framing", "checked", "--chain", name(&other)],
    ] {
        let run = append([name(&log)])
            .args(options)
            .write_stdin("x\n")
            .assert()
            .code(1);
        let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
        assert!(said.contains("key"), "{said}");
    }
    append([name(&log), "--chain", name(&good)])
        .assert()
        .code(2);
    alq(["check", "--running", name(&log)]).assert().code(2);
}

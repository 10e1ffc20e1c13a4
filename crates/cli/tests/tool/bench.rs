//! Promise: `alq bench` reports every case, leaves no file, and names its errors. No test can check
//! the figures themselves.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::terminal::OnTerminal;
use crate::common::{ALQ, Running, alq, name, refused, scratch, wait_until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

/// The longest time of a quick run. The tool is not optimized here, and other tests run beside it.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(1200);

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn a_quick_run_has_every_case_in_its_table_its_json_and_its_page() {
    let (dir, _) = scratch();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let [json, page] = ["b.json", "b.html"].map(|file| dir.path().join(file));
    let mut command = alq(["bench", "--quick", "--rounds=1", "--dir", name(&logs)]);
    command.args(["--json", name(&json), "--report", name(&page)]);
    let run = command.timeout(LIMIT).assert().success().stderr("");
    let said = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let page = fs::read_to_string(&page).unwrap();
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5 + 5 * 7 + 2 + 1);
    let mut measured = 0;
    for case in cases {
        assert_eq!(case["turns"].as_array().unwrap().len(), 1, "{case}");
        for distance in ["near", "far"] {
            let Some(figures) = case[distance]["figures"].as_object() else {
                continue;
            };
            measured += 1;
            for (name, spread) in figures {
                let [median, least, greatest] =
                    ["median", "least", "greatest"].map(|of| spread[of].as_f64().unwrap());
                assert!(least <= median && median <= greatest, "{name} in {case}");
            }
        }
        assert!(
            said.contains(case["contestant"].as_str().unwrap()),
            "{said}"
        );
    }
    let moved = cases.iter().filter(|case| case["moved_turns"] == 1);
    assert_eq!(measured + moved.count(), cases.len());
    for figure in ["gb_s", "ns", "p999"] {
        assert!(
            measured == 0 || page.contains(&format!("/{figure}\"")),
            "no {figure} in the page"
        );
    }
    // One round has no spread, so no figure may be trusted.
    assert_eq!(report["noise"]["is_quiet"], false);
    assert!(said.contains("Too noisy to trust: "), "{said}");
    assert!(is_empty(&logs), "the logs are gone");
}

#[test]
fn a_signal_ends_it_and_nothing_stays() {
    let (dir, _) = scratch();
    let mut command = Command::new(ALQ);
    command
        .args(["bench", "--dir", name(dir.path())])
        .stdout(Stdio::piped());
    let mut tool = Running::start(&mut command, Stdio::null());
    wait_until("a log", || !is_empty(dir.path()));
    tool.signal(Signal::INT);
    let status = tool.end();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(Signal::INT.as_raw()));
    assert!(is_empty(dir.path()), "the logs are gone");
}

/// Waits for the process of a turn, and stops it with SIGSTOP.
fn stopped_turn(tool: &Running) -> Pid {
    let mut turn = None;
    wait_until("a turn that is stopped", || {
        let children = format!("/proc/{0}/task/{0}/children", tool.0.id());
        let children = fs::read_to_string(children).unwrap();
        let pid = children.split_whitespace().next();
        turn = pid.and_then(|pid| Pid::from_raw(pid.parse().unwrap()));
        turn.is_some_and(|turn| {
            let arguments = fs::read_to_string(format!("/proc/{}/cmdline", turn.as_raw_pid()));
            if !arguments.is_ok_and(|arguments| arguments.contains("bench-turn")) {
                return false; // not started yet: stopped now, it would block the tool in vfork(2)
            }
            let _ = kill_process(turn, Signal::STOP); // it may have ended
            let stat = fs::read_to_string(format!("/proc/{}/stat", turn.as_raw_pid()));
            stat.is_ok_and(|stat| stat.contains(") T "))
        })
    });
    turn.unwrap()
}

#[test]
fn a_signal_does_not_wait_for_a_turn() {
    let (dir, _) = scratch();
    let mut command = Command::new(ALQ);
    command
        .args(["bench", "--dir", name(dir.path())])
        .stdout(Stdio::piped());
    let mut tool = Running::start(&mut command, Stdio::null());
    let turn = stopped_turn(&tool);
    tool.signal(Signal::TERM);
    let status = tool.end();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(Signal::TERM.as_raw()));
    assert!(is_empty(dir.path()), "the logs are gone");
    assert!(test_kill_process(turn).is_err(), "so is the turn");
}

#[test]
fn a_terminal_shows_how_far_it_is_and_is_left_clean() {
    let test = "a_terminal_shows_how_far_it_is_and_is_left_clean";
    let (dir, _) = scratch();
    let on = |line| {
        let mut command = Command::new(ALQ);
        command.args(["bench", "--quick", "--dir", name(dir.path())]);
        command.stdout(Stdio::null()).stderr(line);
        command
    };
    let Some(tool) = OnTerminal::start(test, on) else {
        return;
    };
    tool.wait_for("alq: round 1 of 2 [");
    tool.wait_for("bursts, queue, 1 x 100 bytes");
    tool.tool.signal(Signal::TERM);
    let (code, shown) = tool.end();
    assert_eq!(code, None, "{shown:?}");
    assert!(shown.ends_with("\r\x1b[2K"), "{shown:?}");
}

#[test]
fn what_cannot_be_done_is_said_at_once() {
    let (dir, _) = scratch();
    let missing = dir.path().join("missing");
    let mut command = alq(["bench", "--quick", "--dir", name(&missing)]);
    refused(&mut command, 1, &["cannot create a folder", "--dir"]);
    let file = missing.join("b.json");
    for option in ["--json", "--report"] {
        let mut command = alq(["bench", "--quick", option, name(&file)]);
        refused(&mut command, 1, &[name(&file), "cannot write"]);
    }
    for rounds in ["0", "1001", "few"] {
        let option = format!("--rounds={rounds}");
        alq(["bench", &option]).assert().code(2);
    }
}

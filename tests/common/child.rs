//! Tests in a process of their own: for what belongs to the whole process, or cannot be taken back.

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};

use super::{DEADLINE, spawn};

/// Set in a process that was started for one test.
const CHILD: &str = "ALQ_TEST_CHILD";

/// Runs `body` in a process of its own. `test` is the name of the test that calls this: the process is this test
/// binary once more, which runs that test alone, on its main thread.
pub fn in_child(test: &str, body: impl FnOnce()) {
    if env::var_os(CHILD).is_some() {
        body();
        return;
    }
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = text_of(child.stdout.take().unwrap());
    let stderr = text_of(child.stderr.take().unwrap());
    // The child fails by itself after DEADLINE; this is for one that cannot.
    let end = std::time::Instant::now() + 2 * DEADLINE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if std::time::Instant::now() > end {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    let (stdout, stderr) = (stdout.join(), stderr.join());
    assert!(
        status.success() && stdout.contains("1 passed"),
        "{test} in its own process: {status}\n{stdout}\n{stderr}"
    );
}

fn text_of(mut pipe: impl Read + Send + 'static) -> super::Watched<String> {
    spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

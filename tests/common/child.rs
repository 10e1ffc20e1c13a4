//! Runs tests in a child process: tests that affect the whole process, or that cannot be undone.

use std::env;
use std::io::Read;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{DEADLINE, spawn};

/// The variable that is set in a process that was started for one test.
const CHILD: &str = "ALQ_TEST_CHILD";

/// The variable with the folder that the test and its process share.
const FOLDER: &str = "ALQ_TEST_FOLDER";

/// How a process has ended, and its output.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    /// The folder of the process. It is removed when this value is dropped.
    pub folder: tempfile::TempDir,
}

impl Ended {
    pub fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Panics unless the process exited with `code`.
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}\n{}\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
    }
}

/// Runs `body` in a child process, which may end in any way, and returns how it ended. `test` is
/// the name of the calling test. A test that tries several ways to end calls it once for each, with
/// another `way`.
#[track_caller]
pub fn end_of_child(test: &str, way: &str, body: impl FnOnce(&Path)) -> Option<Ended> {
    if let Some(child) = env::var_os(CHILD) {
        if child == format!("{test} {way}").as_str() {
            body(&PathBuf::from(env::var_os(FOLDER).unwrap()));
        }
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = format!("{test} {way}");
    let (status, stdout, stderr) = run(test, &name, Some(folder.path()));
    Some(Ended {
        status,
        stdout,
        stderr,
        folder,
    })
}

/// Runs `body` in a child process. `test` is the name of the calling test: the child is this test
/// binary, which runs only that test.
#[track_caller]
pub fn in_child(test: &str, body: impl FnOnce()) {
    if env::var_os(CHILD).is_some() {
        body();
        return;
    }
    let (status, stdout, stderr) = run(test, test, None);
    assert!(
        status.success() && stdout.contains("1 passed"),
        "{test} in its own process: {status}\n{stdout}\n{stderr}"
    );
}

/// Runs this test binary for `test` alone, and waits for its end.
#[track_caller]
fn run(test: &str, child: &str, folder: Option<&Path>) -> (ExitStatus, String, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, &in_its_file(test)])
        .args(["--nocapture", "--test-threads=1"])
        .env(CHILD, child)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(folder) = folder {
        command.env(FOLDER, folder);
    }
    let mut child = command.spawn().unwrap();
    let stdout = text_of(child.stdout.take().unwrap());
    let stderr = text_of(child.stderr.take().unwrap());
    // The child panics after DEADLINE; this limit is for a child that cannot.
    let end = std::time::Instant::now() + 2 * DEADLINE + stress_time();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if std::time::Instant::now() > end {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    (status, stdout.join(), stderr.join())
}

/// The name of `test` in a test binary of several files: after the name of the caller's file.
#[track_caller]
pub fn in_its_file(test: &str) -> String {
    let file = Path::new(Location::caller().file()).file_stem().unwrap();
    format!("{}::{test}", file.to_str().unwrap())
}

fn text_of(mut pipe: impl Read + Send + 'static) -> super::Watched<String> {
    spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The additional time that the long form of a test may take.
fn stress_time() -> Duration {
    let seconds = env::var("ALQ_STRESS_SECONDS").map(|text| text.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(0))
}

//! What the tool says: a line a message on standard error, tables and JSON on standard output; and
//! never a panic.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::time::Duration;

use alq::Stats;
use serde::Serialize;

/// Prints one line. Nobody can be told when standard error is closed or full, so that is ignored.
pub fn line(message: &dyn Display) {
    let text = format!("alq: {message}\n");
    let _ = io::stderr().write_all(text.as_bytes()); // in one write, so that lines do not mix
}

/// An error as the user sees it: what was wrong, and with what.
#[derive(Debug)]
pub struct Failure {
    text: String,
    code: Option<u8>,
}

impl Failure {
    /// What says by itself what it is about.
    pub fn whole(problem: impl Display) -> Self {
        let text = problem.to_string();
        Self { text, code: None }
    }

    /// `subject` is the path or the option that the user knows.
    pub fn new(subject: impl Display, problem: impl Display) -> Self {
        Self::whole(format_args!("{subject}: {problem}"))
    }

    /// The exit code is this one, if it was not set before.
    pub fn or_code(self, code: u8) -> Self {
        let code = self.code.or(Some(code));
        Self { code, ..self }
    }

    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        self.code.unwrap_or(1)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What found no room, under `--when-full=drop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub lines: u64,
    pub bytes: u64,
}

impl Display for Dropped {
    /// The end of a message; nothing if nothing was dropped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { lines: 0, .. } => Ok(()),
            Self { lines, bytes } => write!(f, ", {lines} lines of {bytes} bytes dropped"),
        }
    }
}

/// What was done, for the one line at the end.
#[derive(Debug)]
pub struct Summary {
    pub lines: u64,
    pub dropped: Dropped,
    pub elapsed: Duration,
    /// Those of the input.
    pub bytes: u64,
    pub stats: Stats,
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lines,
            dropped,
            elapsed,
            bytes,
            stats,
        } = self;
        let seconds = elapsed.as_secs_f64();
        let rate = if seconds > 0.0 {
            *bytes as f64 / seconds / 1e9
        } else {
            0.0
        };
        write!(
            f,
            "{bytes} bytes, {lines} lines, {seconds:.3} s, {rate:.3} GB/s, {} drains, \
             high-water mark {} of {} bytes{dropped}",
            stats.drains, stats.high_water_bytes, stats.capacity_bytes
        )
    }
}

/// A line of a table on standard output.
#[derive(Debug)]
pub struct Row {
    label: &'static str,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Text(String),
    Count(u64, &'static str),
}

impl Row {
    pub fn text(label: &'static str, text: &str) -> Self {
        let value = Value::Text(visible(text));
        Self { label, value }
    }

    pub fn count(label: &'static str, count: u64, unit: &'static str) -> Self {
        let value = Value::Count(count, unit);
        Self { label, value }
    }
}

/// Text in which nothing moves a cursor or ends a line: a path in a ring file is whatever its owner
/// likes.
pub fn visible(text: &str) -> String {
    let shown = |letter: char| {
        if letter.is_control() {
            letter.escape_default().to_string()
        } else {
            letter.to_string()
        }
    };
    text.chars().map(shown).collect()
}

/// Prints the rows: the numbers are flush right, the units behind them.
pub fn table(rows: &[Row]) -> Result<(), Failure> {
    let labels = rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
    let numbers = rows.iter().map(|row| match row.value {
        Value::Text(_) => 0,
        Value::Count(count, _) => count.to_string().len(),
    });
    let numbers = numbers.max().unwrap_or(0);
    let lines = rows.iter().map(|Row { label, value }| match value {
        Value::Text(text) => format!("{label:labels$}  {text}\n"),
        Value::Count(count, unit) => format!("{label:labels$}  {count:>numbers$} {unit}\n"),
    });
    print(&lines.collect::<String>())
}

/// Prints one JSON object on a line.
pub fn json(object: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(object).map_err(|error| Failure::new("JSON", error))?;
    print(&format!("{text}\n"))
}

/// Prints text on standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| Failure::new("standard output", error))
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_would_move_a_cursor_is_seen_in_its_place() {
        assert_eq!(visible("/tmp/ä \u{2581}"), "/tmp/ä \u{2581}");
        assert_eq!(visible("a\n\u{1b}[2Jb\u{9b}2J"), "a\\n\\u{1b}[2Jb\\u{9b}2J");
    }
}

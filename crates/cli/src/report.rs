//! The output of the tool: messages on standard error, one line each; tables and JSON on standard
//! output. Nothing here panics, and nothing that is printed moves a cursor.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use alq::Stats;
use serde::Serialize;

/// Prints a message as one line on standard error. Ignores a closed or full standard error.
pub fn line(message: &dyn Display) {
    let text = format!("alq: {}\n", visible(&message.to_string()));
    let _ = io::stderr().write_all(text.as_bytes()); // in one write, so that lines do not mix
}

/// An error for the user: the subject, and what is wrong with it.
#[derive(Debug)]
pub struct Failure {
    text: String,
    code: Option<u8>,
}

impl Failure {
    /// A failure whose text already names its subject.
    pub fn whole(problem: impl Display) -> Self {
        let text = problem.to_string();
        Self { text, code: None }
    }

    /// A failure of `subject`: the path or the option that the user knows.
    pub fn new(subject: impl Display, problem: impl Display) -> Self {
        Self::whole(format_args!("{subject}: {problem}"))
    }

    /// Sets the exit code, if it is not set yet.
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

/// What was dropped by `--when-full=drop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub lines: u64,
    pub bytes: u64,
}

impl Display for Dropped {
    /// Writes the end of a message; writes nothing if nothing was dropped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { lines: 0, .. } => Ok(()),
            Self { lines, bytes } => write!(f, ", {lines} lines of {bytes} bytes dropped"),
        }
    }
}

/// The summary: one line at the end.
#[derive(Debug)]
pub struct Summary {
    pub lines: u64,
    pub dropped: Dropped,
    pub elapsed: Duration,
    /// Bytes of the input that are written.
    pub bytes: u64,
    /// Whether only dumps are written.
    pub is_recorder: bool,
    pub stats: Stats,
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lines,
            dropped,
            elapsed,
            bytes,
            is_recorder,
            stats,
        } = self;
        let seconds = elapsed.as_secs_f64();
        if *is_recorder {
            let (dumped, over) = (stats.written_records, stats.overwritten_records);
            let rest = stats.posted_records.saturating_sub(dumped + over);
            return write!(
                f,
                "{lines} lines, {seconds:.3} s, {dumped} dumped, {over} overwritten, \
                 {rest} discarded"
            );
        }
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

/// Escapes everything that moves a cursor, ends a line or changes the direction of text. The owner
/// of a ring file can put any path into it.
pub fn visible(text: &str) -> String {
    let shown = |letter: char| match letter {
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            letter.escape_default().to_string()
        }
        letter if letter.is_control() => letter.escape_default().to_string(),
        letter => letter.to_string(),
    };
    text.chars().map(shown).collect()
}

/// The path for people. Bytes that are not text are escaped.
pub fn shown(path: &Path) -> String {
    let chunks = path.as_os_str().as_bytes().utf8_chunks();
    chunks
        .map(|chunk| visible(chunk.valid()) + &chunk.invalid().escape_ascii().to_string())
        .collect()
}

/// The path as a JSON value: unchanged if it is text.
pub fn name(path: &Path) -> String {
    path.to_str().map_or_else(|| shown(path), str::to_owned)
}

/// Prints the rows, with the numbers flush right and the units after them.
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
    print(&json_line(object)?)
}

/// A JSON object as a line.
pub fn json_line(object: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(object).map_err(|error| Failure::new("JSON", error))?;
    // JSON does not require escapes for control characters beyond ASCII, which terminals obey.
    let shown = text
        .chars()
        .map(|letter| match visible(letter.encode_utf8(&mut [0; 4])) {
            same if same.len() == letter.len_utf8() => same,
            _ => format!("\\u{:04x}", u32::from(letter)),
        });
    Ok(shown.collect::<String>() + "\n")
}

/// Prints text on standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| Failure::new("standard output", error))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::{name, shown, visible};

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(visible("/tmp/ä \u{2581}"), "/tmp/ä \u{2581}");
        assert_eq!(visible("a\n\u{1b}[2Jb\u{9b}2J"), "a\\n\\u{1b}[2Jb\\u{9b}2J");
        assert_eq!(visible("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
    }

    #[test]
    fn bytes_of_a_path_that_are_not_text_are_escaped() {
        let path = |bytes| Path::new(OsStr::from_bytes(bytes));
        assert_eq!(shown(path(b"/ab\xff\n\xfec")), "/ab\\xff\\n\\xfec");
        assert_eq!(name(path(b"/ab\xff")), "/ab\\xff");
        assert_eq!(name(path(b"/ab\n")), "/ab\n", "JSON escapes it");
    }
}

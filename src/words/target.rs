//! Which file, descriptor or queue an error is about.

use core::fmt;
use std::path::Path;
use std::sync::Arc;

/// Names what an [`Error`](crate::Error) or a [`Report`](crate::Report) is about: the path that a
/// log was opened with, the number of a descriptor, the place of a sink, or the number of a queue
/// that ends in a sink without one.
///
/// **All targets compare equal.** So two errors are equal if the same step failed for the same
/// reason, on any log. To distinguish targets, compare [`path`](Target::path) or the text.
///
/// ```
/// let error = alq::Options::new().open("/no/such/directory/app.log").unwrap_err();
/// let target = error.target().expect("the log");
/// assert_eq!(target.path().unwrap().to_str(), Some("/no/such/directory/app.log"));
/// assert_eq!(target.to_string(), "/no/such/directory/app.log");
/// ```
#[derive(Clone, Default)]
pub struct Target(Kind);

#[derive(Clone, Default)]
enum Kind {
    /// Not known: an error of the whole process.
    #[default]
    Unknown,
    Path(Arc<Path>),
    Place(Arc<str>),
    Descriptor(i32),
    Queue(u64),
}

impl Target {
    /// The descriptor with this number.
    pub(crate) const fn descriptor(number: i32) -> Self {
        Self(Kind::Descriptor(number))
    }

    /// The queue with this number.
    pub(crate) const fn queue(number: u64) -> Self {
        Self(Kind::Queue(number))
    }

    /// The place of a log that is no file.
    pub(crate) fn place(place: &str) -> Self {
        Self(Kind::Place(place.into()))
    }

    pub(crate) const fn is_unknown(&self) -> bool {
        matches!(self.0, Kind::Unknown)
    }

    /// Returns the path as it was given; `None` for a descriptor, a place or a queue.
    ///
    /// ```
    /// assert_eq!(alq::Target::default().path(), None);
    /// ```
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Path(path) => Some(path),
            _ => None,
        }
    }
}

impl From<&Path> for Target {
    fn from(path: &Path) -> Self {
        Self(Kind::Path(path.into()))
    }
}

/// Always equal: see the type.
impl PartialEq for Target {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Target {}

/// The path or the place, with control characters escaped; `descriptor 1`; or `queue 1`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Unknown => f.write_str("alq"),
            Kind::Path(path) => Escaped(path).fmt(f),
            Kind::Place(place) => Escaped(Path::new(&**place)).fmt(f),
            Kind::Descriptor(number) => write!(f, "descriptor {number}"),
            Kind::Queue(number) => write!(f, "queue {number}"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// A path in a message: one line, whatever the path contains.
pub(crate) struct Escaped<'a>(pub &'a Path);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;

        let text = self.0.to_string_lossy();
        text.chars().try_for_each(|char| {
            if char.is_control() {
                write!(f, "{}", char.escape_default())
            } else {
                f.write_char(char)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Target;
    use std::path::Path;

    #[test]
    fn a_path_takes_one_line_and_moves_no_cursor() {
        let target = Target::from(Path::new("a\nb\x1b[2J\u{9b}\u{e9}.log"));
        assert_eq!(target.to_string(), "a\\nb\\u{1b}[2J\\u{9b}\u{e9}.log");
    }
}

//! The files of the project, read as text. They are formatted by rustfmt, so indentation says where
//! things end.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub struct Source {
    /// Its path below the root.
    pub path: String,
    pub text: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of one file. `None` if it is missing, as in a published crate.
pub fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

/// All Rust files below `folder`, in order. Empty if the folder is missing.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source {
                    text: fs::read_to_string(&path).unwrap(),
                    path: path.strip_prefix(root()).unwrap().display().to_string(),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl Source {
    /// The lines of code and comments, without the tests at the end of the file.
    pub fn lines(&self) -> Vec<&str> {
        let is_test = |line: &&str| !line.starts_with("#[cfg(") || !line.contains("test");
        let mut lines: Vec<&str> = self.text.lines().collect();
        let module = lines
            .windows(2)
            .position(|two| !is_test(&two[0]) && two[1].starts_with("mod tests {"));
        lines.truncate(module.unwrap_or(lines.len()));
        lines
    }
}

/// The labels in brackets in `text`.
pub fn labels_in(text: &str) -> BTreeSet<String> {
    let parts = text.split('[').skip(1);
    let inside = parts.filter_map(|part| part.split_once(']').map(|(inside, _)| inside));
    inside
        .filter(|inside| is_label(inside))
        .map(str::to_owned)
        .collect()
}

/// The parts of `text` between one `mark` and the next.
pub fn quoted(text: &str, mark: char) -> Vec<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}

/// Whether `text` has the form of a label: `claim.head`.
pub fn is_label(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    };
    text.split_once('.')
        .is_some_and(|(protocol, site)| is_word(protocol) && is_word(site) && site != "rs")
}

/// Fails with all of `complaints`, if there are any.
pub fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

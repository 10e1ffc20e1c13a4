//! The pages: all Rust in them is compiled, and every block names its language.

use std::fs;

use crate::source::{assert_none, read, root};

/// The folders with pages.
const FOLDERS: [&str; 6] = [
    "",
    "docs/",
    "fuzz/",
    "loom-tests/",
    "proof/",
    "shuttle-tests/",
];

/// The files that compile the examples of pages as tests.
const READERS: [&str; 3] = [
    "src/lib.rs",
    "src/guide.rs",
    "benches/comparison/migrating/src/lib.rs",
];

const LANGUAGES: [&str; 6] = ["c", "json", "rust", "sh", "text", "toml"];

/// Attributes of a block with which it is still compiled.
const COMPILED: [&str; 4] = ["compile_fail", "no_run", "should_panic", "standalone_crate"];

pub fn pages() -> Vec<String> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(root().join(folder)).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.file_name().unwrap().to_string_lossy();
                found.push(format!("{folder}{name}"));
            }
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

/// The words after the opening fences of a page, and their lines.
fn fences(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate();
    let fences = lines.filter_map(|(at, line)| Some((at + 1, line.trim().strip_prefix("```")?)));
    fences.step_by(2).collect()
}

#[test]
fn what_is_rust_in_the_pages_is_compiled() {
    let readers: Vec<String> = READERS.iter().map(|path| read(path).unwrap()).collect();
    let mut complaints = Vec::new();
    for page in pages() {
        let is_read = readers.iter().any(|text| {
            let name = page.trim_start_matches("docs/"); // as the macro of src/guide.rs has it
            text.contains(&format!("{page}\"")) || text.contains(&format!(" \"{name}\""))
        });
        for (line, words) in fences(&read(&page).unwrap()) {
            let mut words = words.split(',');
            let language = words.next().unwrap_or("");
            if !LANGUAGES.contains(&language) {
                complaints.push(format!("{page}:{line}: a block of '{language}'"));
            }
            if language == "rust" && !is_read {
                complaints.push(format!("{page}:{line}: none of {READERS:?} includes it"));
            }
            if let Some(word) = words.find(|word| !COMPILED.contains(word)) {
                complaints.push(format!("{page}:{line}: '{word}'"));
            }
        }
    }
    assert_none(&complaints);
}

//! Checks the layers, the sizes of files and functions, and the places of `unsafe`.

use crate::source::{assert_none, sources};

/// From the lowest: each imports lower ones only (src/lib.rs joins them and imports all).
const LAYERS: [&str; 10] = [
    "words",
    "primitives",
    "memory",
    "ring",
    "ends",
    "logs",
    "read",
    "actors",
    "face",
    "integrations",
];

const FILE_MAX: usize = 400;

/// The most lines of a function: one screen.
const FUNCTION_MAX: usize = 70;

/// The files that may have `unsafe` code. The head of each says why the code is sound.
const UNSAFE: [&str; 24] = [
    "src/memory/heap.rs",
    "src/memory/inherited.rs",
    "src/memory/journal.rs",
    "src/memory/mirror.rs",
    "src/memory/mod.rs",
    "src/primitives/os/apple.rs",
    "src/primitives/os/apple/file.rs",
    "src/primitives/os/bsd.rs",
    "src/primitives/os/bsd/file.rs",
    "src/primitives/os/bsd/watch.rs",
    "src/primitives/os/call.rs",
    "src/primitives/os/file.rs",
    "src/primitives/os/freebsd.rs",
    "src/primitives/os/freebsd/file.rs",
    "src/primitives/os/linux.rs",
    "src/primitives/os/linux/file.rs",
    "src/primitives/os/process.rs",
    "src/primitives/os/thread.rs",
    "src/primitives/os/unix.rs",
    "src/primitives/process.rs",
    "src/ring/core.rs",
    "src/ring/read.rs",
    "src/ring/lane.rs",
    "src/ring/reserve.rs",
];

#[test]
fn a_layer_imports_lower_ones_only() {
    let mut complaints = Vec::new();
    for source in sources("src") {
        let folder = source.path.split('/').nth(1).unwrap();
        let Some(layer) = LAYERS.iter().position(|layer| *layer == folder) else {
            assert!(
                ["lib.rs", "guide.rs"].contains(&folder),
                "{folder} is no layer"
            );
            continue;
        };
        for line in source.lines() {
            for path in line.split("crate::").skip(1) {
                let target = path.split(|c: char| !c.is_ascii_lowercase()).next();
                let lower = LAYERS.iter().position(|layer| Some(*layer) == target);
                // Examples in documentation are user code.
                let is_code = !line.trim_start().starts_with("//");
                if is_code && lower.is_none_or(|lower| lower > layer) {
                    complaints.push(format!("{}: {}", source.path, line.trim()));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn files_and_functions_fit() {
    let mut complaints = Vec::new();
    for source in sources("src")
        .iter()
        .chain(&sources("loom-tests"))
        .chain(&sources("tests/tidy"))
    {
        let lines: Vec<&str> = source.text.lines().collect();
        if source.path.contains("/target/") {
            continue;
        }
        if lines.len() > FILE_MAX {
            complaints.push(format!("{}: {} lines", source.path, lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            let len = function_len(line, &lines[at..]);
            if len > FUNCTION_MAX {
                complaints.push(format!("{}:{}: {len} lines", source.path, at + 1));
            }
        }
    }
    assert_none(&complaints);
}

/// The length in lines of the function that begins with `line`, up to the bracket below its first
/// word. 0 if no function begins there.
fn function_len(line: &str, lines: &[&str]) -> usize {
    let word = line.trim_start();
    let is_function = word.starts_with("fn ")
        || (word.contains(" fn ") && !word.starts_with("//") && !word.contains('"'));
    if !is_function || line.ends_with([';', '}']) {
        return 0;
    }
    let indent = &line[..line.len() - word.len()];
    let end = lines.iter().position(|line| {
        let rest = line.strip_prefix(indent).unwrap_or("");
        rest == "}" || (rest.starts_with(')') && rest.ends_with(';'))
    });
    end.map_or(0, |end| end + 1)
}

#[test]
fn unsafe_is_where_it_may_be() {
    let mut complaints = Vec::new();
    for source in sources("src") {
        let allows = source.text.contains("#![allow(unsafe_code)]");
        if allows && !source.text.contains("//! # Safety") {
            complaints.push(format!("{}: no word on its safety", source.path));
        }
        if source.text.contains("allow(unsafe_code)") != UNSAFE.contains(&&*source.path) {
            complaints.push(format!("{}: not as the list says", source.path));
        }
    }
    assert_none(&complaints);
}

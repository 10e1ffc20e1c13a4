//! The C twins in proof/genmc make the same accesses as the functions that they stand for, and the
//! table of docs/ordering.md says what the twins claim.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::orderings::{labels, listed};
use crate::source::{Source, assert_none, is_label, quoted, read, root, sources};

const FOLDER: &str = "proof/genmc";

const ACCESSES: [&str; 14] = [
    "load",
    "store",
    "swap",
    "fetch_add",
    "fetch_sub",
    "fetch_or",
    "fetch_and",
    "fetch_max",
    "fetch_update",
    "compare_exchange",
    "compare_exchange_weak",
    "fence",
    "light_at",
    "heavy_at",
];

const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// The twins, in order; none in a published crate.
fn twins() -> Vec<(String, String)> {
    let files = fs::read_dir(root().join(FOLDER)).into_iter().flatten();
    let mut found: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|kind| kind == "c" || kind == "h")
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (
                format!("{FOLDER}/{name}"),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}

fn without_comments(text: &str) -> String {
    let code = text.lines().map(|line| line.split("//").next().unwrap());
    code.collect::<Vec<_>>().join("\n")
}

/// The text from the first bracket in `text` to the one that closes it.
fn in_brackets(text: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if letter == ')' && depth == 0 {
            return &text[..=at];
        }
    }
    text
}

/// The orderings and the labels in `text`, as one word: `Release[post.state]`.
fn orderings(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let orders: Vec<&str> = words.filter(|word| ORDERINGS.contains(word)).collect();
    let labels = quoted(text, '"').into_iter().filter(|word| is_label(word));
    let labels: Vec<&str> = labels.collect();
    format!("{}{labels:?}", orders.join(" "))
}

/// The accesses and the mutants of a function, in the order of the text: `store Release[..]`.
fn accesses(function: &str) -> Vec<String> {
    let code = without_comments(function);
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in code.match_indices('(') {
        let name = code[..at].rsplit(|c: char| !is_part(c)).next().unwrap();
        let arguments = in_brackets(&code[at..]);
        if name == "is_mutant" {
            found.push(format!("is_mutant {arguments}"));
        } else if ACCESSES.contains(&name) {
            // Rust's `let order = ..;` stands before a call that is too long for one line.
            let before = code[..at].rsplit("let order =").next().unwrap();
            let named = before.split(';').next().unwrap();
            let order = orderings(&arguments.replace("order", named));
            if order != "[]" {
                found.push(format!("{name} {order}"));
            }
        }
    }
    found
}

/// The functions called `name` in a Rust file that make accesses: a twin stands for one of them.
fn rust_functions(source: &Source, name: &str) -> Vec<Vec<String>> {
    let lines = source.lines();
    let begins = |line: &str| {
        let line = line.split("//").next().unwrap();
        [format!("fn {name}("), format!("fn {name}<")]
            .iter()
            .any(|start| line.contains(start))
    };
    let starts = (0..lines.len()).filter(|at| begins(lines[*at]));
    let bodies = starts.map(|at| {
        let indent = lines[at].len() - lines[at].trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let body = lines[at..].iter().take_while(|line| **line != end);
        accesses(&body.copied().collect::<Vec<_>>().join("\n"))
    });
    bodies.filter(|body| !body.is_empty()).collect()
}

/// The parts of a twin: for each function its head comment (may be empty) and its text.
fn c_functions(text: &str) -> Vec<(&str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_function = line.ends_with(") {") && !line.starts_with(' ');
        if is_function {
            let body = lines[at..].iter().take_while(|line| **line != "}");
            let before = if at > 0 { lines[at - 1] } else { "" };
            found.push((before, body.copied().collect::<Vec<_>>().join("\n")));
        }
    }
    found
}

/// Each function of a twin that names its source has the accesses of that function, in order; and
/// no other function has an access with a label.
#[test]
fn twins_and_sources_agree() {
    let rust: BTreeMap<String, Source> = sources("src")
        .into_iter()
        .map(|source| (source.path.clone(), source))
        .collect();
    let (mut complaints, mut count) = (Vec::new(), 0);
    for (path, text) in twins() {
        for (head, function) in c_functions(&text) {
            let name = function.lines().next().unwrap();
            let made = accesses(&function);
            let source = head
                .strip_prefix("// ")
                .filter(|head| head.starts_with("src/"));
            let Some((file, wanted)) = source.and_then(|source| {
                let (file, name) = source.split_once(": fn ")?;
                Some((file.split(',').next()?, name))
            }) else {
                let labelled = made.iter().filter(|one| one.contains('"'));
                complaints.extend(labelled.map(|one| format!("{path}: {name} {one}: of what?")));
                continue;
            };
            let Some(rust) = rust.get(file) else {
                complaints.push(format!("{path}: {file} does not exist"));
                continue;
            };
            count += 1;
            let source = rust_functions(rust, wanted);
            if !source.contains(&made) {
                complaints.push(format!(
                    "{path}: {name}\n    {made:?}\n  {file}: fn {wanted}\n    {source:?}"
                ));
            }
        }
    }
    assert!(
        count > 60 || twins().is_empty(),
        "only {count} functions found"
    );
    assert_none(&complaints);
}

/// The labels after `// needs` or `// holds` in the heads of the twins.
fn claimed(word: &str) -> BTreeSet<String> {
    let twins = twins();
    let lines = twins.iter().flat_map(|(_, text)| text.lines());
    let start = format!("// {word}");
    let claims = lines.filter(|line| line.starts_with(&start));
    let words = claims.flat_map(|line| line.split_whitespace());
    words
        .filter(|word| is_label(word))
        .map(str::to_owned)
        .collect()
}

/// The table of engines in docs/ordering.md has each label once, in the row of what loom and GenMC
/// find.
#[test]
fn engines_and_table_agree() {
    if twins().is_empty() {
        return;
    }
    let page = read("docs/ordering.md").unwrap();
    let part = page.split("## Two engines").nth(1).unwrap();
    let part = part.split("\n## ").next().unwrap();
    let rows = part
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut written = BTreeMap::new();
    let mut complaints = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for label in quoted(cells[3], '`') {
            if written
                .insert(label.to_owned(), (cells[1], cells[2]))
                .is_some()
            {
                complaints.push(format!("{label} is in the table twice"));
            }
        }
    }
    let loom: BTreeSet<String> = listed()
        .into_iter()
        .filter(|(_, model)| !model.starts_with(FOLDER))
        .map(|(mutant, _)| mutant.split(':').next().unwrap().to_owned())
        .collect();
    let (needed, holds) = (claimed("needs"), claimed("holds"));
    let in_code: BTreeSet<String> = sources("src").iter().flat_map(labels).collect();
    for label in &in_code {
        let of_loom = if loom.contains(label) {
            "needed"
        } else {
            "not covered"
        };
        let of_genmc = if needed.contains(label) {
            "needed"
        } else if holds.contains(label) {
            "not needed"
        } else {
            "not covered"
        };
        let found = written.remove(label);
        if found != Some((of_loom, of_genmc)) {
            complaints.push(format!(
                "{label}: {of_loom}, {of_genmc}; the table: {found:?}"
            ));
        }
    }
    complaints.extend(
        written
            .keys()
            .map(|label| format!("{label}: no such label")),
    );
    complaints.extend(
        needed
            .union(&holds)
            .filter(|label| !in_code.contains(*label))
            .cloned(),
    );
    assert_none(&complaints);
}

//! Labels, the table in docs/ordering.md, the models and the mutants say the same.

use std::collections::BTreeSet;

use crate::source::{Source, assert_none, is_label, labels_in, quoted, read, sources};

const ACCESSES: [&str; 7] = [
    ".load(",
    ".store(",
    ".swap(",
    ".fetch_",
    ".compare_exchange",
    "fence(",
    "acq_rel(",
];

const STRONG: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];

/// One pair of the table.
struct Row {
    stores: BTreeSet<String>,
    looks: BTreeSet<String>,
    model: Option<String>,
    mutants: BTreeSet<String>,
}

/// The table; `None` in a published crate, which has no models.
fn table() -> Option<Vec<Row>> {
    let page = read("docs/ordering.md").filter(|_| read("ci/mutants.sh").is_some())?;
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    Some(rows.map(row).collect())
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    assert_eq!(cells.len(), 7, "five columns: {line}");
    let words = |cell| quoted(cell, '`').into_iter().map(str::to_owned);
    Row {
        stores: words(cells[1]).collect(),
        looks: words(cells[2]).collect(),
        model: words(cells[4]).next(),
        mutants: words(cells[5]).collect(),
    }
}

/// The labels in the comments of a file; in those that the table is about, not the ones that they
/// point to.
pub fn labels(source: &Source) -> Vec<String> {
    let comments = source.lines().into_iter();
    let comments = comments.filter_map(|line| line.trim().strip_prefix("// ["));
    let mut found = Vec::new();
    for mut rest in comments {
        while let Some((label, behind)) = rest.split_once(']') {
            // A colon after the label begins a sentence.
            let is_here = is_label(label) && behind.starts_with(' ');
            found.extend(is_here.then(|| label.to_owned()));
            match behind.strip_prefix(" [") {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    found
}

/// The names of the mutants in the code.
fn mutants_in(text: &str) -> BTreeSet<String> {
    let calls = ["_mutant(", "_at(", "acq_rel("];
    let named = |call: &&str| -> Vec<String> {
        let arguments = text.split(call).skip(1);
        let arguments = arguments.filter_map(|rest| rest.split([')', ';']).next());
        let names = arguments.flat_map(|arguments| quoted(arguments, '"'));
        let names = names.filter(|name| is_label(name.split(':').next().unwrap()));
        names.map(str::to_owned).collect()
    };
    calls.iter().flat_map(named).collect()
}

/// The mutants and models of `ci/mutants.sh`.
pub fn listed() -> Vec<(String, String)> {
    let script = read("ci/mutants.sh").unwrap();
    let list = script.split("found_by='").nth(1).unwrap();
    let list = list.split('\'').next().unwrap();
    let pairs = list.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(mutant, model)| {
            let name = mutant.split('+').next().unwrap();
            (name.to_owned(), model.trim().to_owned())
        })
        .collect()
}

/// Every access with an ordering says which pair it belongs to, or why Relaxed is enough.
#[test]
fn every_ordering_has_its_reason() {
    let mut missing = Vec::new();
    let mut count = 0;
    for source in sources("src") {
        let lines = source.lines();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap();
            if !ACCESSES.iter().any(|access| code.contains(access)) {
                continue;
            }
            let call: String = call_at(&lines[at..]);
            let strong = STRONG.iter().any(|ordering| call.contains(ordering));
            let named = call.contains("order") || call.contains("mutant(");
            if !strong && !named && !call.contains("Relaxed") {
                continue; // not an access to an atomic
            }
            count += 1;
            // The comments before it, up to a blank line.
            let above = lines[..=at]
                .iter()
                .rev()
                .take_while(|line| !line.is_empty());
            let comments: String = above
                .filter_map(|line| line.split_once("//"))
                .map(|(_, comment)| comment)
                .collect();
            let is_labelled = !labels_in(&comments).is_empty();
            let is_fine = if call.contains("compiler_fence") {
                comments.contains("SeqCst")
            } else if strong || named {
                is_labelled
            } else {
                is_labelled || comments.contains("Relaxed")
            };
            if !is_fine {
                missing.push(format!("{}:{}: {}", source.path, at + 1, line.trim()));
            }
        }
    }
    assert!(
        count > 200,
        "only {count} accesses found: has the code a new form?"
    );
    assert_none(&missing);
}

/// The text of the call that begins in the first of `lines`, up to its last bracket.
fn call_at(lines: &[&str]) -> String {
    let mut call = String::new();
    let (mut opened, mut closed) = (0, 0);
    for line in lines.iter().take(8) {
        let code = line.split("//").next().unwrap();
        call.push_str(code);
        opened += code.matches('(').count();
        closed += code.matches(')').count();
        if closed >= opened {
            break;
        }
    }
    call
}

/// Each label is at one place in the code and in the table, and the table has no other label.
#[test]
fn labels_and_table_agree() {
    let Some(table) = table() else { return };
    let mut complaints = Vec::new();
    let mut in_code = BTreeSet::new();
    for source in sources("src") {
        for label in labels(&source) {
            if !in_code.insert(label.clone()) {
                complaints.push(format!("[{label}] stands at two places"));
            }
        }
        let comments = source.text.lines().filter_map(|line| line.split_once("//"));
        for pointed in comments.flat_map(|(_, comment)| labels_in(comment)) {
            if !table
                .iter()
                .any(|row| row.stores.contains(&pointed) || row.looks.contains(&pointed))
            {
                complaints.push(format!("{}: [{pointed}] is not in the table", source.path));
            }
        }
    }
    for row in &table {
        for label in row.stores.union(&row.looks) {
            if !in_code.contains(label) {
                complaints.push(format!("{label} of the table is nowhere in src/"));
            }
        }
        if row.stores.is_empty() || row.looks.is_empty() {
            complaints.push("a pair without a partner".to_owned());
        }
    }
    assert_none(&complaints);
}

/// Each mutant of the code is in the table, at a pair of its own label, and in `ci/mutants.sh`,
/// with the model of that row; and each model is there.
#[test]
fn table_models_and_mutants_agree() {
    let Some(table) = table() else { return };
    let mut complaints = Vec::new();
    let built_in: BTreeSet<_> = sources("src")
        .iter()
        .flat_map(|source| mutants_in(&source.text))
        .collect();
    let listed = listed();
    let in_list: BTreeSet<_> = listed.iter().map(|(mutant, _)| mutant.clone()).collect();
    let in_table: BTreeSet<_> = table.iter().flat_map(|row| row.mutants.clone()).collect();
    for (name, set) in [("ci/mutants.sh", &in_list), ("docs/ordering.md", &in_table)] {
        let differ = set.symmetric_difference(&built_in);
        complaints.extend(differ.map(|mutant| format!("{mutant}: only in one of src/ and {name}")));
    }
    for row in &table {
        for mutant in &row.mutants {
            let label = mutant.split(':').next().unwrap();
            if !row.stores.contains(label) && !row.looks.contains(label) {
                complaints.push(format!("{mutant} is no mutant of its row"));
            }
            let pair = (mutant.clone(), row.model.clone().unwrap_or_default());
            if !listed.contains(&pair) {
                complaints.push(format!("{} finds {mutant}? Not in ci/mutants.sh", pair.1));
            }
        }
        if let Some(model) = row.model.as_ref().filter(|model| !has_model(model)) {
            complaints.push(format!("{model}: no such model"));
        }
    }
    assert_none(&complaints);
}

fn has_model(model: &str) -> bool {
    let Some((file, name)) = model.split_once("::") else {
        return model.starts_with("proof/genmc/") && read(model).is_some();
    };
    let text = read(&format!("loom-tests/tests/models/{file}.rs")).unwrap_or_default();
    text.contains(&format!("#[test]\nfn {name}() {{"))
}

//! The public interface, as rustdoc sees it, is the recorded one, so that a review sees every
//! change; and each item has an example.
//!
//! `ALQ_API=record cargo test --test public_api` records it in `tests/public_api.txt`.

// The crate `public_api` needs a newer Rust than the library promises.
#![cfg(not(alq_msrv))]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use public_api::Builder;
use serde_json::Value;

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/public_api.txt");

/// Returns rustdoc's description of the library with all features.
static JSON: LazyLock<PathBuf> = LazyLock::new(|| {
    // The folder that holds the compiled dependencies.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "rustdoc",
            "-p",
            "alq",
            "--lib",
            "--all-features",
            "--locked",
        ])
        .args(["--", "-Zunstable-options", "--output-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env(
            "RUSTDOC",
            concat!(env!("CARGO_MANIFEST_DIR"), "/ci/rustdoc.sh"),
        )
        .env("CARGO_TARGET_DIR", target)
        .env_remove("RUSTDOCFLAGS")
        .output()
        .expect("cargo starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    target.join("doc/alq.json")
});

#[test]
fn the_public_api_is_the_recorded_one() {
    let api = match Builder::from_rustdoc_json(&*JSON)
        .omit_blanket_impls(true)
        .omit_auto_derived_impls(true)
        .build()
    {
        Ok(api) => api,
        // The format changes with the toolchain; CI's toolchain is known.
        Err(error) => return println!("skipped: this toolchain's rustdoc: {error}"),
    };
    let lines = api.items().map(ToString::to_string);
    let is: Vec<String> = lines.filter(|line| !is_unstable(line)).collect();
    if std::env::var_os("ALQ_API").is_some_and(|what| what == "record") {
        fs::write(RECORD, is.join("\n") + "\n").unwrap();
    }
    let recorded = fs::read_to_string(RECORD).unwrap();
    let was: Vec<&str> = recorded.lines().collect();
    let gone = was
        .iter()
        .filter(|line| !is.iter().any(|item| item == *line));
    let new = is.iter().filter(|item| !was.contains(&item.as_str()));
    let gone = gone.map(|line| format!("- {line}"));
    let changes: Vec<String> = gone.chain(new.map(|item| format!("+ {item}"))).collect();
    assert!(
        changes.is_empty(),
        "the public interface has changed; if that is intended, run \
         ALQ_API=record cargo test --all-features --test public_api\n{}",
        changes.join("\n")
    );
}

/// Traits that stable code cannot name.
fn is_unstable(line: &str) -> bool {
    line.contains("core::marker::Freeze") || line.contains("core::marker::UnsafeUnpin")
}

#[test]
fn every_public_item_has_an_example() {
    let text = fs::read_to_string(&*JSON).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let items = items_with_a_name(&json);
    // The items of a macro are all at the place where the macro was called.
    let is_written = |item: &Value| {
        let there = items.iter().filter(|other| other["span"] == item["span"]);
        there.count() < 5
    };
    let wanted: Vec<_> = items
        .iter()
        .filter(|item| wants_an_example(item) && is_written(item))
        .collect();
    let mut without: Vec<String> = wanted
        .iter()
        .filter(|item| !item["docs"].as_str().unwrap_or("").contains("```"))
        .map(|item| {
            let file = item["span"]["filename"].as_str().unwrap_or("?");
            format!("{file}:{}: {}", item["span"]["begin"][0], item["name"])
        })
        .collect();
    without.sort();
    assert!(without.is_empty(), "no example:\n{}", without.join("\n"));
    assert!(wanted.len() > 80, "the format is another than was thought");
}

/// The items that a user can name: those that the modules of the crate hold or re-export, and what
/// is implemented for them. (A type that only a signature mentions is in the index as well.)
fn items_with_a_name(json: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut next = vec![&json["root"]];
    while let Some(id) = next.pop() {
        let item = &json["index"][id.to_string()];
        if item.is_null() || !seen.insert(id.to_string()) {
            continue; // of another crate, or met before
        }
        found.push(item);
        let inner = item["inner"].as_object().into_iter().flatten();
        for (kind, inner) in inner {
            let children = match kind.as_str() {
                "module" | "impl" => &inner["items"],
                "struct" | "enum" | "union" => &inner["impls"],
                "use" => {
                    next.extend(Some(&inner["id"]).filter(|id| !id.is_null()));
                    continue;
                }
                _ => continue,
            };
            next.extend(children.as_array().into_iter().flatten());
        }
    }
    found
}

/// Functions, methods, types and traits. (The methods of a trait are shown with the trait, fields
/// and variants with their type.)
fn wants_an_example(item: &Value) -> bool {
    let is_ours = item["crate_id"] == 0;
    let is_public = item["visibility"] == "public";
    let kinds = ["function", "struct", "enum", "union", "trait", "macro"];
    is_ours && is_public && kinds.iter().any(|kind| item["inner"].get(kind).is_some())
}

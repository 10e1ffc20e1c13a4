//! No modules import each other in a circle.
//!
//! A name that a `mod.rs` hands on counts as an import of the module that defines it. What `mod.rs`
//! hands on itself (`pub use`) is its table of contents, and no import.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{assert_none, sources};

/// Circles that are still to be opened: the crate, and the first module of each by name. An entry
/// that is in no circle any more must go.
const KNOWN: [(&str, &str); 2] = [("src", "words::error"), ("src", "words::geometry")];

type Module = Vec<String>;

/// The modules of one crate, with the paths that each of them brings into scope.
struct Crate {
    imports: BTreeMap<Module, Vec<Import>>,
}

struct Import {
    /// From the crate root, as far as the path itself says.
    path: Module,
    is_public: bool,
}

impl Crate {
    fn read(folder: &str) -> Self {
        let texts: BTreeMap<Module, String> = sources(folder)
            .into_iter()
            .map(|source| {
                let code = |line: &&str| !line.trim_start().starts_with("//");
                let code: Vec<&str> = source.lines().into_iter().filter(code).collect();
                (module_of(&source.path, folder), code.join("\n"))
            })
            .collect();
        let names: BTreeSet<&Module> = texts.keys().collect();
        let imports = texts.iter().map(|(module, text)| {
            let mut paths = uses_in(text);
            paths.extend(inline_paths(text));
            let resolve = |(path, is_public): (Module, bool)| {
                let path = absolute(module, &path, &names)?;
                Some(Import { path, is_public })
            };
            let imports = paths.into_iter().filter_map(resolve).collect();
            (module.clone(), imports)
        });
        Self {
            imports: imports.collect(),
        }
    }

    /// The module that defines the last name of `path`.
    fn definer(&self, path: &[String], depth: usize) -> Option<Module> {
        let len = (0..=path.len())
            .rev()
            .find(|&len| self.imports.contains_key(&path[..len]))?;
        let module = path[..len].to_vec();
        let Some(name) = path.get(len).filter(|_| depth < 8) else {
            return Some(module);
        };
        let handed_on = self.imports[&module]
            .iter()
            .find(|import| import.path.last() == Some(name) && import.path[..] != path[..=len]);
        handed_on.map_or(Some(module), |import| self.definer(&import.path, depth + 1))
    }

    fn edges(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let edges = self.imports.iter().map(|(module, imports)| {
            let used = imports.iter().filter(|import| !import.is_public);
            let mut to: BTreeSet<Module> = used
                .filter_map(|import| self.definer(&import.path, 0))
                .collect();
            to.remove(module);
            (module.clone(), to)
        });
        edges.collect()
    }

    /// Each set of modules of which every one leads to every other, by names.
    fn circles(&self) -> Vec<Vec<String>> {
        let edges = self.edges();
        let reach: BTreeMap<&Module, BTreeSet<&Module>> = edges
            .keys()
            .map(|from| {
                let mut seen = BTreeSet::new();
                let mut next: Vec<&Module> = edges[from].iter().collect();
                while let Some(module) = next.pop() {
                    if seen.insert(module) {
                        next.extend(edges.get(module).into_iter().flatten());
                    }
                }
                (from, seen)
            })
            .collect();
        let mut circles = BTreeSet::new();
        for (from, seen) in &reach {
            if seen.contains(from) {
                let others = seen.iter().filter(|other| reach[*other].contains(*from));
                circles.insert(others.map(|module| module.join("::")).collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }
}

/// The module of a file; the crate root has no name.
fn module_of(path: &str, folder: &str) -> Module {
    let path = path.strip_prefix(folder).unwrap().trim_start_matches('/');
    let mut names: Module = path
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if names
        .last()
        .is_some_and(|name| ["mod", "lib", "main"].contains(&&**name))
    {
        names.pop();
    }
    names
}

/// A path from the crate root; `None` for another crate's.
fn absolute(module: &Module, path: &Module, names: &BTreeSet<&Module>) -> Option<Module> {
    let mut rest = path.iter().peekable();
    let mut base = match rest.peek()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.clone(),
        first => {
            let child: Module = module.iter().cloned().chain([first.to_owned()]).collect();
            names.contains(&child).then(|| module.clone())?
        }
    };
    while let Some(first) = rest.next_if(|name| ["crate", "self", "super"].contains(&&***name)) {
        if first == "super" {
            base.pop();
        }
    }
    base.extend(rest.cloned());
    Some(base)
}

/// The paths of all `use` declarations, one by one.
fn uses_in(text: &str) -> Vec<(Module, bool)> {
    let mut found = Vec::new();
    let mut is_open: Option<(String, bool)> = None;
    for line in text.lines() {
        let word = line.trim_start();
        let is_public = word.starts_with("pub") && word.contains(" use ");
        if is_open.is_none() && (word.starts_with("use ") || is_public) {
            is_open = Some((String::new(), is_public));
        }
        if let Some((statement, is_public)) = &mut is_open {
            statement.push_str(line.split("//").next().unwrap());
            if statement.contains(';') {
                let paths = statement.split_once("use ").unwrap().1;
                let paths = paths.split(';').next().unwrap();
                let paths = expanded(&paths.split_whitespace().collect::<Vec<_>>().join(" "));
                found.extend(paths.into_iter().map(|path| (path, *is_public)));
                is_open = None;
            }
        }
    }
    found
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expanded(paths: &str) -> Vec<Module> {
    let Some(open) = paths.find('{') else {
        let path = paths.split(" as ").next().unwrap();
        let names = path.split("::").map(|name| name.trim().to_owned());
        return vec![names.filter(|name| !name.is_empty()).collect()];
    };
    let (prefix, inside) = (&paths[..open], &paths[open + 1..paths.rfind('}').unwrap()]);
    let mut depth = 0;
    let parts = inside.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| expanded(&format!("{prefix}{}", part.trim())))
        .collect()
}

/// Paths in code that begin with `crate::` or `super::`.
fn inline_paths(text: &str) -> Vec<(Module, bool)> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let is_word = |c: char| c == '_' || c == ':' || c.is_ascii_alphanumeric();
            if text[..at].ends_with(is_word) {
                continue;
            }
            let path = text[at..].split(|c| !is_word(c)).next().unwrap();
            let names = path.split("::").filter(|name| !name.is_empty());
            found.push((names.map(str::to_owned).collect(), false));
        }
    }
    found
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut complaints = Vec::new();
    let mut known: BTreeSet<_> = KNOWN.into_iter().collect();
    for folder in ["src", "crates/cli/src", "crates/capi/src"] {
        for circle in Crate::read(folder).circles() {
            let is_known = |(of, first): &&(&str, &str)| *of == folder && *first == circle[0];
            let found = known.iter().find(is_known).copied();
            if !found.is_some_and(|found| known.remove(&found)) {
                complaints.push(format!("{folder}: {}", circle.join(", ")));
            }
        }
    }
    for (folder, first) in known {
        complaints.push(format!(
            "{folder}: {first} is in no circle: take it off the list"
        ));
    }
    assert_none(&complaints);
}

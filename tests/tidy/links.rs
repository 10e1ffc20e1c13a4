//! Every link has a target: links of the pages to files and headings, links of the documentation to
//! its pages and anchors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::pages::pages;
use crate::source::{assert_none, read, root};

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The targets of inline links, `[text](target)`. Pictures are left out.
fn inline(prose: &str) -> impl Iterator<Item = &str> {
    let links = prose.split("](").collect::<Vec<_>>();
    let is_picture = |before: &str| {
        before
            .rfind('[')
            .is_some_and(|at| before[..at].ends_with('!'))
    };
    let targets = links.windows(2).filter_map(move |two| {
        let target = two[1].split([')', ' ']).next()?;
        (!is_picture(two[0])).then_some(target)
    });
    targets.collect::<Vec<_>>().into_iter()
}

/// The names that a page defines, `[name]: target`.
fn definitions(prose: &str) -> BTreeMap<&str, &str> {
    let lines = prose.lines().filter_map(|line| line.strip_prefix('['));
    lines.filter_map(|line| line.split_once("]: ")).collect()
}

fn is_relative(target: &&str) -> bool {
    !target.contains("://")
}

/// The anchors of the headings of a page.
fn headings(prose: &str) -> Vec<String> {
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let name = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let is_kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
        text.chars()
            .filter(is_kept)
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(name).collect()
}

#[test]
fn links_of_pages_lead_to_files_and_headings() {
    let mut complaints = Vec::new();
    for page in pages() {
        let text = prose(&read(&page).unwrap());
        let targets = inline(&text).chain(definitions(&text).into_values());
        for target in targets.filter(is_relative) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => root().join(&page),
                path => root().join(&page).parent().unwrap().join(path),
            };
            let there = fs::read_to_string(&path).unwrap_or_default();
            let is_there = path.exists()
                && (heading.is_empty()
                    || headings(&prose(&there)).iter().any(|own| own == heading));
            if !is_there {
                complaints.push(format!("{page}: nothing is at {target}"));
            }
        }
    }
    assert_none(&complaints);
}

/// The documentation of the library includes some pages, and a relative target leads to nothing
/// there (see src/guide.rs).
#[test]
fn pages_of_the_documentation_name_what_they_link_to() {
    let mut complaints = Vec::new();
    let (guide, links) = (read("src/guide.rs").unwrap(), read("src/links.md").unwrap());
    let links = definitions(&links);
    for page in pages() {
        let name = page.trim_start_matches("docs/");
        if page != "README.md" && !guide.contains(&format!("{name}\"")) {
            continue;
        }
        let text = prose(&read(&page).unwrap());
        for target in inline(&text).filter(|target| is_relative(target) && !target.starts_with('#'))
        {
            complaints.push(format!(
                "{page}: write [text][name] in place of [text]({target})"
            ));
        }
        let own = definitions(&text);
        for (name, target) in own.iter().filter(|(_, target)| is_relative(target)) {
            if !links.contains_key(name) {
                complaints.push(format!(
                    "src/links.md: where is [{name}]: {target} of {page}?"
                ));
            }
        }
        let used = text
            .split('[')
            .skip(1)
            .filter_map(|rest| rest.split(']').next());
        for name in used.filter(|name| name.contains(".md") && !name.contains('`')) {
            if !own.contains_key(name) && !text.contains(&format!("[{name}][")) {
                complaints.push(format!("{page}: [{name}] is not defined at its end"));
            }
        }
    }
    assert_none(&complaints);
}

/// A page of the documentation: its links and its anchors.
struct Rendered {
    targets: Vec<String>,
    places: BTreeSet<String>,
}

impl Rendered {
    fn of(text: &str) -> Self {
        let values = |name: &str| {
            let before = format!(" {name}=\"");
            let values = text.split(&before).skip(1);
            let values = values.filter_map(|rest| Some(rest.split('"').next()?.to_owned()));
            values.collect::<Vec<_>>()
        };
        Self {
            targets: ["href", "src"].map(values).concat(),
            places: values("id").into_iter().collect(),
        }
    }
}

/// All HTML files below `folder`.
fn rendered(folder: &Path, into: &mut BTreeMap<PathBuf, Rendered>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rendered(&path, into);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            let page = Rendered::of(&fs::read_to_string(&path).unwrap());
            into.insert(path, page);
        }
    }
}

#[test]
#[ignore = "ci/doc.sh builds the documentation, and has this look at it"]
fn links_of_the_documentation_lead_to_pages_and_places() {
    let folder = env::var("ALQ_DOC").expect("ALQ_DOC: the documentation of the library");
    let folder = fs::canonicalize(folder).unwrap();
    let mut pages = BTreeMap::new();
    rendered(&folder, &mut pages);
    let (mut links, mut complaints) = (0, Vec::new());
    for (path, page) in &pages {
        let targets = page.targets.iter().map(String::as_str);
        for target in targets.filter(|target| is_relative(target) && !target.starts_with("data:")) {
            links += 1;
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let file = match file.split('?').next() {
                None | Some("") => path.clone(),
                Some(file) => path.parent().unwrap().join(file),
            };
            // Pages outside, such as those of sources, find their places themselves.
            let is_there = fs::canonicalize(&file).is_ok_and(|file| {
                let has_place = |page: &Rendered| page.places.contains(place);
                place.is_empty() || pages.get(&file).is_none_or(has_place)
            });
            if !is_there {
                let name = path.strip_prefix(&folder).unwrap().display();
                complaints.push(format!("{name}: nothing is at {target}"));
            }
        }
    }
    assert_none(&complaints);
    assert!(links > 1000, "{links} links: the format has changed");
    println!(
        "{} pages with {links} links, none of them dead",
        pages.len()
    );
}

//! The manual pages and completions. They are generated from the definition of the command line and
//! kept with the sources, so that a build of the tool needs no other program. `ci/man.sh write`
//! generates them; the test here fails if they are out of date.

use std::collections::BTreeMap;
use std::fs;
use std::iter;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::args::Cli;
use crate::help::TITLES;

/// If this environment variable is set, the test writes the files.
const WRITE: &str = "ALQ_GENERATE";

/// Generates the text of each file; the key is its path in this package.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut cli = Cli::command();
    cli.build();
    let mut files = BTreeMap::new();
    let commands = cli.get_subcommands().map(|command| {
        let name = format!("alq-{}", command.get_name());
        command
            .clone()
            .display_name(&name)
            .bin_name(name.replacen('-', " ", 1))
    });
    for command in [cli.clone()].into_iter().chain(commands) {
        let name = command.get_display_name().unwrap_or("alq").to_owned();
        files.insert(format!("man/{name}.1"), page(command));
    }
    for (shell, file) in [
        (Shell::Bash, "alq.bash"),
        (Shell::Zsh, "_alq"),
        (Shell::Fish, "alq.fish"),
    ] {
        let mut text = Vec::new();
        generate(shell, &mut Cli::command(), "alq", &mut text);
        files.insert(format!("completions/{file}"), text);
    }
    files
}

/// Generates a manual page with the usual titles of sections. It has no date, so that it changes
/// only with the command line.
fn page(command: Command) -> Vec<u8> {
    let name = command.get_display_name().unwrap_or("alq").to_owned();
    let names = Cli::command();
    let names = names
        .get_subcommands()
        .map(|other| format!("alq-{}", other.get_name()));
    let others = iter::once("alq".to_owned()).chain(names);
    let others: Vec<_> = others
        .filter(|other| *other != name)
        .map(|other| format!(".BR {other} (1)"))
        .collect();
    let mut text = Vec::new();
    Man::new(command).section("1").render(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let (before, text) = text.split_once(".TH ").unwrap();
    let (_, text) = text.split_once('\n').unwrap();
    let title = format!(
        ".TH {} 1 \"\" \"alq {}\" \"User Commands\"\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    );
    let (text, extra) = text.split_once(".SH EXTRA\n").unwrap();
    let extra = extra.split(".SH VERSION").next().unwrap();
    let others = others.join(" ,\n").replace("(1) ,", "(1),");
    format!(
        "{before}{title}{text}{}.SH \"SEE ALSO\"\n{others}\n",
        sections(extra)
    )
    .into()
}

/// Converts the text at the end of the help to sections.
fn sections(extra: &str) -> String {
    let mut sections = String::new();
    let mut is_open = false;
    for line in extra.lines() {
        let title = TITLES.iter().find(|(title, _)| *title == line);
        if let Some((_, title)) = title {
            sections += if is_open { ".fi\n" } else { "" };
            sections.extend([".SH \"", title, "\"\n.nf\n"]);
            is_open = true;
        } else if !line.is_empty() {
            sections += line;
            sections += "\n";
        }
    }
    sections + ".fi\n"
}

#[test]
fn manual_pages_and_completions_are_those_of_the_command_line() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_to_write = std::env::var_os(WRITE).is_some();
    let files = files();
    for (path, text) in &files {
        let path = package.join(path);
        if is_to_write {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            continue;
        }
        let found = fs::read(&path).unwrap_or_default();
        let path = path.display();
        assert!(found == *text, "{path} is out of date: ci/man.sh write");
    }
    for folder in ["man", "completions"] {
        for file in fs::read_dir(package.join(folder)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let path = format!("{folder}/{name}");
            assert!(
                files.contains_key(&path),
                "{path} is no longer generated: delete it"
            );
        }
    }
}

//! Only one folder knows which operating system this is.

use crate::source::{assert_none, sources};

/// The folder, with the file of the same name.
const SEAM: &str = "src/primitives/os";

/// The conditions on which code for one system would depend.
const CONDITIONS: [&str; 4] = ["target_os", "target_vendor", "target_env", "target_family"];

#[test]
fn platforms_are_told_apart_in_one_place() {
    let folders = [
        "src",
        "crates/cli/src",
        "crates/capi/src",
        "crates/measure/src",
    ];
    let mut complaints = Vec::new();
    for source in folders.iter().flat_map(|folder| sources(folder)) {
        for line in source.text.lines() {
            let is_told = CONDITIONS.iter().any(|condition| line.contains(condition));
            if is_told && !source.path.starts_with(SEAM) {
                complaints.push(format!("{}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none(&complaints);
}

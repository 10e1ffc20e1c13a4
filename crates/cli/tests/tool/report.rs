//! Promise: in a browser, the tables of the page of `alq bench` show the figures of the JSON, and
//! the page loads nothing. Needs Chromium, for which `ci/report.sh` sets `ALQ_CHROMIUM`. Without it
//! the test prints that it was skipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{alq, name, scratch};
use serde_json::Value;

/// The longest time of a quick run.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(1200);

/// Runs Chromium without a window, with a new profile, and without background requests.
fn chromium(program: &str, profile: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
    ]);
    command.args(["--no-first-run", "--disable-background-networking"]);
    command.args([
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
    ]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    let run = command.args(args).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{program}: {}: {said}", run.status);
    run
}

/// Three digits, as in the tables.
fn three_digits(value: f64) -> String {
    let digits = [(100.0, 0), (10.0, 1), (1.0, 2)];
    let digits = digits.iter().find(|(least, _)| value >= *least);
    format!("{value:.*}", digits.map_or(3, |(_, digits)| *digits))
}

/// The text that each cell of the tables must show.
fn expected(report: &Value) -> BTreeMap<String, String> {
    let mut cells = BTreeMap::new();
    for case in report["cases"].as_array().unwrap() {
        let text = |field: &str| case[field].as_str().unwrap();
        let shown: &[&str] = match text("workload") {
            "bursts" => &["ns", "p50", "p99", "p999", "p9999", "max", "of_limit"],
            "sustained" => &["gb_s"],
            "stalled" => &["p50", "p99", "p999", "max", "refused"],
            _ => &["wakeups_s", "cpu_ms_s"],
        };
        for distance in ["near", "far"] {
            let figures = case[distance]["figures"].as_object();
            for (figure, spread) in figures.into_iter().flatten() {
                if shown.contains(&&**figure) {
                    let (workload, contestant) = (text("workload"), text("contestant"));
                    let (producers, len) = (&case["producers"], &case["record_bytes"]);
                    let key =
                        format!("{workload}/{contestant}/{producers}/{len}/{distance}/{figure}");
                    let median = spread["median"].as_f64().unwrap();
                    cells.insert(key, three_digits(median));
                }
            }
        }
    }
    cells
}

/// The text that each cell of the tables shows.
fn shown(dom: &str) -> BTreeMap<String, String> {
    let cells = dom.split("<td data-key=\"").skip(1);
    let cell = |rest: &str| {
        let (key, rest) = rest.split_once('"').unwrap();
        let (_, rest) = rest.split_once('>').unwrap();
        let (value, _) = rest.split_once('<').unwrap();
        (key.to_owned(), value.to_owned())
    };
    cells.map(cell).collect()
}

/// Reads the network log of the browser. Returns each request with the number of the part of the
/// browser that made it, because the browser also makes requests for itself.
fn asked(log: &Path) -> Vec<(String, String)> {
    let log = fs::read_to_string(log).unwrap();
    let found = log.split("\"traffic_annotation\":").skip(1);
    let asked = found.filter_map(|rest| {
        let (part, rest) = rest.split_once(",\"url\":\"")?;
        let (address, _) = rest.split_once('"')?;
        Some((part.to_owned(), address.to_owned()))
    });
    asked.collect()
}

#[test]
fn the_page_shows_what_the_json_holds_and_loads_nothing() {
    let Ok(program) = std::env::var("ALQ_CHROMIUM") else {
        println!("skipped: ALQ_CHROMIUM does not name a Chromium");
        return;
    };
    let (dir, _) = scratch();
    let path = |file: &str| dir.path().join(file);
    let [json, page, picture, net] = ["b.json", "b.html", "b.png", "net.json"].map(path);
    let mut bench = alq(["bench", "--quick", "--json", name(&json)]);
    bench
        .args(["--report", name(&page)])
        .timeout(LIMIT)
        .assert()
        .success();
    let address = format!("file://{}", page.display());

    let note = format!("--log-net-log={}", net.display());
    let dump =
        |address: &str| chromium(&program, &path("profile"), &[&note, "--dump-dom", address]);

    // A page that loads something shows which part of the browser loads for pages. That part must
    // make no request for our page.
    let outside = "http://outside.invalid/x.png";
    let other = path("other.html");
    fs::write(&other, format!("<img src=\"{outside}\">")).unwrap();
    dump(&format!("file://{}", other.display()));
    let loads = asked(&net)
        .into_iter()
        .find(|(_, address)| address == outside);
    let (of_pages, _) = loads.expect("what a page loads is not in what the browser notes");

    let dumped = dump(&address);
    let dom = String::from_utf8(dumped.stdout).unwrap();
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let expected = expected(&report);
    assert!(expected.len() >= 60, "{}: {expected:?}", expected.len());
    assert_eq!(shown(&dom), expected);
    let machine = report["machine"]["cpu"].as_str().unwrap();
    assert!(dom.contains(machine), "no {machine}");

    // The page requests nothing, and its policy would forbid it.
    assert!(dom.contains("default-src 'none'"), "no policy");
    for part in ["src=", "href=", "url(", "@import", "<script"] {
        assert!(!dom.contains(part), "{part} in the page");
    }
    let asked = asked(&net);
    assert!(asked.iter().all(|(part, _)| *part != of_pages), "{asked:?}");

    // The charts are drawn: each has a place on the page, and the picture of the page is large, so
    // it does not have only one colour.
    let charts = dom.matches("<svg").count();
    assert!(charts >= 5, "{charts} charts");
    let shot = format!("--screenshot={}", picture.display());
    chromium(
        &program,
        &path("profile"),
        &[&shot, "--window-size=1050,3200", &address],
    );
    let len = fs::metadata(&picture).unwrap().len();
    assert!(len > 50_000, "a picture of {len} bytes");
}

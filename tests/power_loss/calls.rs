//! Reads a trace of strace: each system call with its arguments and its result.

use std::collections::HashMap;

/// One system call that has returned.
#[derive(Debug)]
pub struct Call {
    pub name: String,
    /// The arguments. Strings are in `texts`.
    pub args: Vec<String>,
    /// The strings among the arguments, also those inside a list of buffers.
    pub texts: Vec<Vec<u8>>,
    /// Negative after an error.
    pub result: i64,
    /// The lines of the trace on which it began and returned.
    pub began: usize,
    pub ended: usize,
}

impl Call {
    /// The descriptor that is its argument `at`.
    pub fn fd(&self, at: usize) -> Option<i32> {
        self.args.get(at)?.parse().ok()
    }

    /// Whether one of its arguments has this flag.
    pub fn has(&self, flag: &str) -> bool {
        let is = |arg: &String| arg.split('|').any(|one| one == flag);
        self.args.iter().any(is)
    }
}

/// The calls of a trace that `strace -f -xx` wrote, in the order in which they returned.
pub fn calls(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, text)) = text.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if let Some(start) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, (line, start));
        } else if let Some(rest) = text.strip_prefix("<... ") {
            let (_, rest) = rest.split_once(" resumed>").expect("a call that returns");
            let (began, start) = begun.remove(thread).expect("a call that began");
            calls.extend(call(&format!("{start}{rest}"), began, line));
        } else {
            calls.extend(call(text, line, line));
        }
    }
    calls
}

/// Reads `name(args) = result ...`. `None` for a signal, an exit, or a call without a result.
fn call(text: &str, began: usize, ended: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    let args = args.trim_end().strip_suffix(')')?;
    let result = result.split(' ').next()?.parse().ok()?;
    let mut texts = Vec::new();
    let mut plain = String::new();
    for (at, part) in args.split('"').enumerate() {
        if at % 2 == 1 {
            texts.push(bytes(part));
        } else {
            plain.push_str(part);
        }
    }
    Some(Call {
        name: name.to_owned(),
        args: plain.split(", ").map(str::to_owned).collect(),
        texts,
        result,
        began,
        ended,
    })
}

/// Reads `\x61\x62`.
fn bytes(text: &str) -> Vec<u8> {
    let codes = text.split("\\x").skip(1);
    codes
        .map(|code| u8::from_str_radix(code, 16).expect("all of a string is in hex"))
        .collect()
}

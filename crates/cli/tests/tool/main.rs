//! What the tool promises, checked with the built program. Each file says which promise it holds.

mod common;

mod bench;
mod chain;
mod command;
mod content;
mod dump;
mod errors;
mod framing;
mod kill;
mod lines;
mod output;
mod progress;
mod reading;
mod recorder;
mod recover;
mod report;
mod ring;
mod rotation;
mod shipping;
mod signals;
mod stalls;
mod stat;
mod supervised;
mod watch;

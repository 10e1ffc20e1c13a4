//! The options of `alq append` as a flight recorder.

use clap::Args;

/// What is written, and when, if FILE gets dumps only.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recorder")]
pub struct RecorderOptions {
    /// Keep the newest lines in the ring and write nothing until a dump: SIGUSR2 makes one, and so
    /// does a COMMAND that fails. A dump is what the ring keeps, after a line that counts it
    #[arg(long, conflicts_with = "resume")]
    pub recorder: bool,

    /// Make a dump after each line that contains TEXT; may be given several times
    #[arg(long, value_name = "TEXT", requires = "recorder", value_parser = text)]
    pub dump_on: Vec<String>,

    /// Make a dump at the end of input
    #[arg(long, requires = "recorder")]
    pub dump_at_end: bool,
}

fn text(text: &str) -> Result<String, &'static str> {
    let is_found = !text.is_empty() && !text.contains('\n');
    is_found
        .then(|| text.to_owned())
        .ok_or("a part of a line, such as ERROR")
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_text_can_be_in_a_line() {
        assert_eq!(text("ERROR"), Ok("ERROR".to_owned()));
        for nowhere in ["", "two\nlines"] {
            assert!(text(nowhere).is_err(), "{nowhere:?}");
        }
    }
}

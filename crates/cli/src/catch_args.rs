//! The options of `alq append` as a log catcher: lines, their time stamps, and what happens to
//! lines that find no room.

use clap::{Args, ValueEnum};

use crate::report::Failure;
use crate::stamp::Format;
use crate::values::Named;

/// The default of `--line-max`: a longer line may be split.
pub const LINE_MAX: usize = 64 << 10;

/// How lines are treated.
#[derive(Debug, Args)]
#[command(next_help_heading = "Lines")]
pub struct LineOptions {
    /// Treat input as lines: SIGTERM reads to the end of a line, SIGHUP opens FILE again, and no
    /// line is split between two files
    #[arg(long)]
    pub line: bool,

    /// If FILE ends inside a line, go on in that line; otherwise lines begin on a new one
    #[arg(long, conflicts_with = "resume")]
    pub keep_torn_line: bool,

    /// A line longer than this may be split; 1K to 1G [default: 64K, or a quarter of the ring]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = line_max)]
    pub line_max: Option<usize>,

    /// Begin each line with the time its first byte was read: iso (RFC 3339, UTC), local, tai64n,
    /// or a strftime(3) format such as '%b %e %T'
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "iso",
        value_parser = Named::new(&["iso", "local", "tai64n"], Format::parse),
        hide_possible_values = true
    )]
    pub timestamp: Option<Format>,

    /// What to do with lines while FILE accepts no data and the ring is full: wait, or drop them
    /// and say so in FILE
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = WhenFull::Block)]
    pub when_full: WhenFull,
}

/// What happens to a line that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhenFull {
    /// Read no standard input until there is room
    Block,
    /// Drop the line; FILE gets a line with the number of dropped ones
    Drop,
}

impl LineOptions {
    /// Returns true if one of these options is given: each makes input a stream of lines.
    pub fn is_on(&self) -> bool {
        let Self {
            line,
            keep_torn_line: _,
            line_max,
            timestamp,
            when_full,
        } = self;
        *line || line_max.is_some() || timestamp.is_some() || *when_full == WhenFull::Drop
    }

    /// Returns true if bytes go into the ring unchanged.
    pub fn is_plain(&self) -> bool {
        self.timestamp.is_none() && self.when_full == WhenFull::Block
    }

    /// The length from which a line may be split, with a ring of `capacity` bytes. Lines that are
    /// dropped whole, or are records of a framing (`is_framed`), must fit into the ring.
    pub fn line_max(&self, capacity: usize, is_framed: bool) -> Result<usize, Failure> {
        let most = capacity / 4;
        let why = match self.when_full {
            WhenFull::Drop => "--when-full=drop",
            WhenFull::Block if is_framed => "--framing",
            WhenFull::Block => return Ok(self.line_max.unwrap_or(LINE_MAX.min(most))),
        };
        match self.line_max {
            None => Ok(LINE_MAX.min(most)),
            Some(len) if len <= most => Ok(len),
            Some(len) => Err(Failure::new(
                format!("--line-max {len}"),
                format!(
                    "with {why} it must be at most a quarter of the ring, \
                     which has {capacity} bytes: raise --capacity"
                ),
            )),
        }
    }
}

fn line_max(text: &str) -> Result<usize, &'static str> {
    parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .ok()
        .filter(|bytes| (1 << 10..=1 << 30).contains(bytes))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or("1K to 1G, such as 8192, 64K or 1M")
}

#[cfg(test)]
mod tests {
    use super::line_max;

    #[test]
    fn the_longest_line_is_1k_to_1g() {
        assert_eq!(line_max("1K"), Ok(1024));
        assert_eq!(line_max("8192"), Ok(8192));
        for text in ["0", "1023", "2G", "-1", "long"] {
            assert!(line_max(text).is_err(), "{text}");
        }
    }
}

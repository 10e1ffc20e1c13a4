//! The options of `alq append` as a log catcher: lines, their time stamps, and what happens when
//! there is no room.

use clap::{Args, ValueEnum};

use crate::report::Failure;
use crate::stamp::Format;
use crate::values::Named;

/// Where a line may be split, unless another length is asked for.
pub const LINE_MAX: usize = 64 << 10;

/// How lines are treated.
#[derive(Debug, Args)]
#[command(next_help_heading = "Lines")]
pub struct LineOptions {
    /// Treat input as lines: SIGTERM reads to the end of a line, SIGHUP opens FILE anew, and no
    /// line is in two files
    #[arg(long)]
    pub line: bool,

    /// Where a longer line may be split, all the same; 1K to 1G [default: 64K, or a quarter of the
    /// ring]
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

    /// What to do with lines while FILE takes nothing and the ring is full: wait, or drop them and
    /// say so in FILE
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = WhenFull::Block)]
    pub when_full: WhenFull,
}

/// What happens to a line that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhenFull {
    /// Standard input is not read until there is room.
    Block,
    /// It is gone; a line in FILE says how many are.
    Drop,
}

impl LineOptions {
    /// Whether input is a stream of lines; each of these options makes it one.
    pub fn is_on(&self) -> bool {
        let Self {
            line,
            line_max,
            timestamp,
            when_full,
        } = self;
        *line || line_max.is_some() || timestamp.is_some() || *when_full == WhenFull::Drop
    }

    /// Whether bytes go into the ring as they are.
    pub fn is_plain(&self) -> bool {
        self.timestamp.is_none() && self.when_full == WhenFull::Block
    }

    /// The length that a line may have before it is split, with a ring of this capacity.
    pub fn line_max(&self, capacity: usize) -> Result<usize, Failure> {
        let most = capacity / 4;
        match self.line_max {
            None => Ok(LINE_MAX.min(most)),
            Some(len) if len <= most || self.when_full == WhenFull::Block => Ok(len),
            Some(len) => Err(Failure::new(
                format!("--line-max {len}"),
                format!(
                    "with --when-full=drop it must be a quarter of the ring at most, \
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
    fn a_bound_of_lines_has_bounds_itself() {
        assert_eq!(line_max("1K"), Ok(1024));
        assert_eq!(line_max("8192"), Ok(8192));
        for text in ["0", "1023", "2G", "-1", "long"] {
            assert!(line_max(text).is_err(), "{text}");
        }
    }
}

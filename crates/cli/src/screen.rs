//! A few lines on a terminal that are redrawn in place, and the bar chart in them.

use std::collections::VecDeque;
use std::io;

use console::{Term, truncate_str};

use crate::report::Failure;

/// The number of values in the bar chart.
pub const BLOCKS_MAX: usize = 60;

/// The fill of the ring in eighths, rounded up: a ring that is not empty has at least one.
pub fn eighths(fill_bytes: u64, capacity_bytes: u64) -> usize {
    let eighths = (fill_bytes * 8).div_ceil(capacity_bytes.max(1));
    eighths.min(8) as usize
}

/// Draws a bar chart of one line: one block for each fill.
pub fn sparkline(fills: &VecDeque<usize>) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let blocks: String = fills.iter().map(|eighths| BLOCKS[*eighths]).collect();
    format!("▕{blocks:>BLOCKS_MAX$}▏")
}

/// Standard output as a terminal.
#[derive(Debug)]
pub struct Screen {
    term: Term,
    shown: usize,
}

impl Screen {
    pub fn new() -> Self {
        Self {
            term: Term::buffered_stdout(),
            shown: 0,
        }
    }

    pub fn is_terminal(&self) -> bool {
        self.term.is_term()
    }

    /// Replaces the lines that were shown before, in one write.
    pub fn show(&mut self, lines: &[String]) -> Result<(), Failure> {
        let draw = |term: &Term, shown: usize| {
            let (rows, columns) = term.size();
            let rows = usize::from(rows).saturating_sub(1).max(1); // one row for the cursor
            term.clear_last_lines(shown)?;
            for line in lines.iter().take(rows) {
                term.write_line(&truncate_str(line, usize::from(columns), "…"))?;
            }
            term.flush()?;
            Ok(lines.len().min(rows))
        };
        let drawn: io::Result<usize> = draw(&self.term, self.shown);
        self.shown = drawn.map_err(|error| Failure::new("standard output", error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{eighths, sparkline};

    #[test]
    fn blocks_are_as_high_as_the_ring_is_full() {
        let fills = [0, 1, 32_768, 65_536, 70_000].map(|fill| eighths(fill, 65_536));
        let line = sparkline(&fills.into());
        assert!(line.ends_with("  ▁▄██▏"), "{line}");
        assert_eq!(line.chars().count(), 62);
    }
}

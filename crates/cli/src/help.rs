//! The texts at the end of the help of each command. In its manual page they are separate sections.

/// The titles in their order, each with the title of its section in the manual page. In the help a
/// title is a separate line and ends with a colon.
#[cfg(test)]
pub const TITLES: [(&str, &str); 3] = [
    ("Signals:", "SIGNALS"),
    ("Exit codes:", "EXIT STATUS"),
    ("Examples:", "EXAMPLES"),
];

pub const ALL: &str = "\
Exit codes:
  0  done
  1  error
  2  wrong usage
  3  parts of a ring file were damaged
See also the help of each command.";

pub const APPEND: &str = "\
Signals:
  SIGTERM, SIGINT  write what was read, then die by the signal. If that takes longer
                   than half a second, another signal ends alq at once
  SIGTERM          with --line: first read to the end of the line, for at most a
                   quarter of a second
  SIGHUP           with --line: open FILE again and continue there
  SIGUSR1, SIGALRM with --line: rotate
  SIGQUIT, others  as SIGINT
--line is implied by --line-max, --timestamp, --when-full=drop, rotation and COMMAND.
With --until-eof, SIGTERM and SIGINT do nothing. With COMMAND, alq passes all signals
on to it except SIGHUP, SIGUSR1 and SIGALRM, and ends after it.

Exit codes:
  0    all input was written
  1    input or output error; the message says how much was not written
  2    wrong usage
With COMMAND: its exit code, or 128 + the number of the signal that ended it, or
  125  alq itself failed
  126  COMMAND cannot be run
  127  there is no such COMMAND

Examples:
  myapp 2>&1 | alq append --until-eof --timestamp --rotate-size 16M --keep 10 app.log
  alq append --timestamp --rotate-every day --keep 30 --compress zstd app.log -- myapp
  until alq append --resume --ring /run/app.ring app.log <input; do sleep 1; done";

pub const RECOVER: &str = "\
Exit codes:
  0  everything that RING holds is written, or nothing was left
  1  RING cannot be used, or the log cannot be written; the rest stays in RING
  2  wrong usage
  3  as 0, but parts of RING were damaged and are not written
With --dry-run, the code is the one that the run without it would have.

Examples:
  alq recover --dry-run /run/app.ring
  alq recover --into rescued.log /run/app.ring";

pub const STAT: &str = "\
Exit codes:
  0  printed
  1  RING cannot be read; with --watch, it was removed
  2  wrong usage
--watch continues until SIGINT (Ctrl-C) or SIGTERM, and then dies by that signal.

Examples:
  alq stat --json /run/app.ring
  alq stat --watch --interval 0.5 /run/app.ring";

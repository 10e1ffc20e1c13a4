//! What stands at the end of the help of a command, and in its manual page under titles of their
//! own.

/// The titles, in their order; each ends with a colon, on a line of its own.
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
The help of each command says more.";

pub const APPEND: &str = "\
Signals:
  SIGTERM, SIGINT  write what was read, and die by the signal. If that takes longer
                   than half a second, another signal ends alq at once
  SIGTERM          with --line: reads to the end of the line first, for a quarter of
                   a second at most
  SIGHUP           with --line: goes on in a FILE that is opened anew
  SIGUSR1, SIGALRM with --line: rotate
  SIGQUIT, others  as SIGINT
--line is implied by --line-max, --timestamp, --when-full=drop, rotation and COMMAND.
With --until-eof, SIGTERM and SIGINT do nothing. With COMMAND, all signals but the
three of --line are passed on to it, and alq ends after it.

Exit codes:
  0    all input was written
  1    input or output error; the message says how much was not written
  2    wrong usage
With COMMAND, its exit code, or 128 and the number of the signal that ended it, and
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
  1  RING cannot be used, or the log not be written; what is not written stays in RING
  2  wrong usage
  3  as 0, but parts of RING were damaged, and are not written
With --dry-run, the code is that of the run that it foresees.

Examples:
  alq recover --dry-run /run/app.ring
  alq recover --into rescued.log /run/app.ring";

pub const STAT: &str = "\
Exit codes:
  0  printed
  1  RING cannot be read; with --watch, it was removed
  2  wrong usage
--watch goes on until SIGINT (Ctrl-C) or SIGTERM, and then dies by that signal.

Examples:
  alq stat --json /run/app.ring
  alq stat --watch --interval 0.5 /run/app.ring";

//! The texts at the end of the help of each command. In its manual page they are separate sections.

/// The titles in their order, each with the title of its section in the manual page. In the help a
/// title is a separate line and ends with a colon.
#[cfg(test)]
pub const TITLES: [(&str, &str); 4] = [
    ("NATS JetStream:", "NATS JETSTREAM"),
    ("Signals:", "SIGNALS"),
    ("Exit codes:", "EXIT STATUS"),
    ("Examples:", "EXAMPLES"),
];

pub const ALL: &str = "\
Exit codes:
  0  done
  1  error
  2  wrong usage
  3  parts of a ring file or of a log were damaged
See also the help of each command.";

pub const APPEND: &str = "\
NATS JetStream:
  alq append --nats URLS --stream NAME --subject SUBJECT --ring RING
runs the program alq-nats, which appends lines to a stream on other machines, each once
and in order. It has options of its own: alq append --nats URLS --help.

Signals:
  SIGTERM, SIGINT  write what was read, then die by the signal. If that takes longer
                   than half a second, another signal ends alq at once
  SIGTERM          with --line: first read to the end of the line, for at most a
                   quarter of a second
  SIGHUP           with --line: open FILE again and continue there
  SIGUSR1, SIGALRM with --line: rotate
  SIGUSR2          with --recorder: make a dump
  SIGQUIT, others  as SIGINT
--line is implied by --line-max, --timestamp, --when-full=drop, rotation and COMMAND,
by --recorder, and by --framing lines, lengths and checked. With fixed:BYTES, records are treated as
lines are here.
With --until-eof, SIGTERM and SIGINT do nothing. With COMMAND, alq passes all signals
on to it except SIGHUP, SIGUSR1, SIGALRM and, with --recorder, SIGUSR2, and ends
after it.

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
  until alq append --resume --ring /run/app.ring app.log <input; do sleep 1; done
  alq append --recorder --capacity 4M --dump-on ERROR app.log -- myapp --debug
  producer | alq append --framing checked wal.log && alq check wal.log
  producer | alq append --framing checked --chain /etc/wal.key wal.log";

pub const CAT: &str = "\
Exit codes:
  0  the log was printed
  1  LOG cannot be read
  2  wrong usage
  3  as 0, but the log has faults, which standard error names

Examples:
  alq cat app.log | grep error
  alq cat --since 1h --json app.log
  alq cat -n 100 --format hex wal.log
  ssh host cat wal.log | alq cat -";

pub const FOLLOW: &str = "\
Signals:
  SIGTERM, SIGINT  write what was read, save the cursor, then die by the signal
With --cursor, a follower that is killed and started again prints each record once if
its standard output is a file that only it appends to, and at least once otherwise.

Exit codes:
  1  LOG cannot be read, or standard output cannot be written
  2  wrong usage
Without an error it continues until a signal.

Examples:
  alq follow app.log
  alq follow --cursor /var/lib/ship/app.cursor app.log >>copy.log
  alq follow -n 0 --json app.log | jq .text";

pub const CHECK: &str = "\
Exit codes:
  0  the log is sound
  1  LOG cannot be read
  2  wrong usage
  3  the log has faults: damage, missing positions, a torn end; with --chain also frames
     that were changed, removed, inserted or moved, an end that may be cut off, another key
Records that a queue has noted as lost, torn ends that it has removed, and frames that it
has taken in after a kill, are notes.

Examples:
  alq check wal.log || mail -s 'wal.log' root
  alq check --json wal.log
  alq check --chain /etc/wal.key --running --least 5001:f2f43dc6... wal.log";

pub const RECOVER: &str = "\
NATS JetStream:
  alq recover RING --nats URLS --stream NAME --subject SUBJECT
publishes what a killed alq append --nats left, by the program alq-nats.

Exit codes:
  0  everything that RING holds is written, or nothing was left
  1  RING cannot be used, or the log cannot be written; the rest stays in RING
  2  wrong usage
  3  as 0, but parts of RING were damaged and are not written
With --dry-run, the code is the one that the run without it would have.

Examples:
  alq recover --dry-run /run/app.ring
  alq recover --into rescued.log /run/app.ring";

pub const DUMP: &str = "\
Exit codes:
  0  everything that RING holds is written
  1  RING cannot be used or is not that of a recorder, or LOG cannot be written
  2  wrong usage
  3  as 0, but parts of RING were damaged and are not written

Examples:
  alq dump /run/app.ring | less
  alq dump --to app.log --reason 'it hangs' /run/app.ring
  alq dump --json /run/app.ring | jq .records";

pub const STAT: &str = "\
Exit codes:
  0  printed
  1  RING cannot be read; with --watch, it was removed
  2  wrong usage
--watch continues until SIGINT (Ctrl-C) or SIGTERM, and then dies by that signal.

Examples:
  alq stat --json /run/app.ring
  alq stat --watch --interval 0.5 /run/app.ring";

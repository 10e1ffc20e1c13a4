# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_alq_global_optspecs
    string join \n h/help V/version
end

function __fish_alq_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_alq_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_alq_using_subcommand
    set -l cmd (__fish_alq_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c alq -n "__fish_alq_needs_command" -s h -l help -d 'Print help'
complete -c alq -n "__fish_alq_needs_command" -s V -l version -d 'Print version'
complete -c alq -n "__fish_alq_needs_command" -f -a "append" -d 'Append standard input to FILE'
complete -c alq -n "__fish_alq_needs_command" -f -a "cat" -d 'Print the records of LOG: of its rotated files, also packed ones, and then of LOG'
complete -c alq -n "__fish_alq_needs_command" -f -a "follow" -d 'Print the records of LOG as they are written, over any number of rotations'
complete -c alq -n "__fish_alq_needs_command" -f -a "check" -d 'Check LOG and its rotated files: frames, their order, gaps, torn ends, packed files'
complete -c alq -n "__fish_alq_needs_command" -f -a "recover" -d 'Write what a killed process left in RING'
complete -c alq -n "__fish_alq_needs_command" -f -a "dump" -d 'Write the records that a recorder keeps in RING, oldest first'
complete -c alq -n "__fish_alq_needs_command" -f -a "stat" -d 'Show what RING holds and what its queue is doing'
complete -c alq -n "__fish_alq_needs_command" -f -a "bench" -d 'Measure what an append costs on this machine'
complete -c alq -n "__fish_alq_using_subcommand append" -l capacity -d 'Size of the ring: 1 byte to 2G; K, M and G are powers of 1024 [default: 1M, or the size of an existing RING]' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l ring -d 'Keep the ring in this file, best in a folder in /run; what an earlier run left there is appended first' -r -F
complete -c alq -n "__fish_alq_using_subcommand append" -l sync-every -d 'Sync FILE to disk when something is written and not synced for this long, 0.001 or more' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l sync-bytes -d 'Sync FILE to disk when this size is written and not synced' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l mode -d 'Permissions of a new file, less the umask' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l stall-limit -d 'Give up when the disk has been full for this long, or never: forever (a reader that pauses is always waited for) [default: 5; forever if input is lines]' -r -f -a "forever\t''"
complete -c alq -n "__fish_alq_using_subcommand append" -l framing -d 'How records are separated in FILE: raw (only the bytes of input), lines, fixed:BYTES, lengths, or checked (frames with checksums, for `alq check`). A record is a line of input with its newline, or BYTES bytes' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l chain -d 'With --framing checked: make a chain over the frames with the key in KEYFILE, so that `alq check --chain KEYFILE` finds frames that were changed or removed' -r -F
complete -c alq -n "__fish_alq_using_subcommand append" -l line-max -d 'A line longer than this may be split; 1K to 1G [default: 64K, or a quarter of the ring]' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l timestamp -d 'Begin each line with the time its first byte was read: iso (RFC 3339, UTC), local, tai64n, or a strftime(3) format such as \'%b %e %T\'' -r -f -a "iso\t''
local\t''
tai64n\t''"
complete -c alq -n "__fish_alq_using_subcommand append" -l when-full -d 'What to do with lines while FILE accepts no data and the ring is full: wait, or drop them and say so in FILE' -r -f -a "block\t'Read no standard input until there is room'
drop\t'Drop the line; FILE gets a line with the number of dropped ones'"
complete -c alq -n "__fish_alq_using_subcommand append" -l dump-on -d 'Make a dump after each line that contains TEXT; may be given several times' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l rotate-size -d 'Continue in a new file before FILE exceeds this size, 1K or more. With --keep or --compress and no other option that says when: 16M' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l rotate-every -d 'Continue in a new file at the end of each hour, day, week or month, or of so many minutes or hours, as in 10m or 6h' -r -f -a "hour\t''
day\t''
week\t''
month\t''"
complete -c alq -n "__fish_alq_using_subcommand append" -l keep -d 'Keep at most N rotated files, in addition to FILE itself' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l keep-age -d 'Delete rotated files older than this, as in 12h, 30d or 2w' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l keep-bytes -d 'Keep at most this size of rotated files together, not counting FILE itself' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l keep-free -d 'Keep this much of the file system free: delete the oldest rotated files, at the start and after each rotation' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l compress -d 'Pack rotated files in the background: gzip or zstd' -r -f -a "gzip\t''
zstd\t''"
complete -c alq -n "__fish_alq_using_subcommand append" -l link -d 'Keep a symbolic link to FILE at LINK' -r -F
complete -c alq -n "__fish_alq_using_subcommand append" -l ring-on-disk -d 'Accept a RING on a disk without a warning; reading input may then wait for that disk'
complete -c alq -n "__fish_alq_using_subcommand append" -l ring-optional -d 'If RING cannot be used, say so and keep the ring in memory; a RING in use is still an error'
complete -c alq -n "__fish_alq_using_subcommand append" -l resume -d 'Skip the part of standard input that FILE already contains; both must be files, and FILE must hold nothing else'
complete -c alq -n "__fish_alq_using_subcommand append" -l fsync -d 'Report success only after the data, and a new file\'s directory entry, are on disk'
complete -c alq -n "__fish_alq_using_subcommand append" -l follow-links -d 'Follow FILE if it is a symbolic link (/dev/stdout is one)'
complete -c alq -n "__fish_alq_using_subcommand append" -l until-eof -d 'Ignore SIGINT and SIGTERM and continue to the end of input; SIGQUIT ends alq'
complete -c alq -n "__fish_alq_using_subcommand append" -l quiet -d 'Print no summary and no progress line'
complete -c alq -n "__fish_alq_using_subcommand append" -l stamps -d 'With --framing checked: each frame of a new FILE has the time at which it was appended'
complete -c alq -n "__fish_alq_using_subcommand append" -l keep-torn-record -d 'Keep a torn record that is removed from the end of FILE: append its bytes to FILE.torn'
complete -c alq -n "__fish_alq_using_subcommand append" -l line -d 'Treat input as lines: SIGTERM reads to the end of a line, SIGHUP opens FILE again, and no line is split between two files'
complete -c alq -n "__fish_alq_using_subcommand append" -l keep-torn-line -d 'If FILE ends inside a line, go on in that line; otherwise lines begin on a new one'
complete -c alq -n "__fish_alq_using_subcommand append" -l recorder -d 'Keep the newest lines in the ring and write nothing until a dump: SIGUSR2 makes one, and so does a COMMAND that fails. A dump is what the ring keeps, after a line that counts it'
complete -c alq -n "__fish_alq_using_subcommand append" -l dump-at-end -d 'Make a dump at the end of input'
complete -c alq -n "__fish_alq_using_subcommand append" -l rotate-at-start -d 'Continue in a new file if FILE is not empty at the start'
complete -c alq -n "__fish_alq_using_subcommand append" -l rotate-on-signal -d 'Continue in a new file only on SIGUSR1 and SIGALRM'
complete -c alq -n "__fish_alq_using_subcommand append" -l utc -d 'Let periods follow UTC instead of the local time zone'
complete -c alq -n "__fish_alq_using_subcommand append" -l shared-folder -d 'As root, rotate FILE even if other users may change a folder above it'
complete -c alq -n "__fish_alq_using_subcommand append" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand cat" -s n -l last -d 'Print only the last N records' -r
complete -c alq -n "__fish_alq_using_subcommand cat" -l from -d 'Print records from this position on (framed logs only)' -r
complete -c alq -n "__fish_alq_using_subcommand cat" -l to -d 'Stop at the first record at this position or after it' -r
complete -c alq -n "__fish_alq_using_subcommand cat" -l since -d 'Print records from this time on: a date, a time such as 2026-12-01T06:00:00Z, or an age such as 10m (needs stamps)' -r
complete -c alq -n "__fish_alq_using_subcommand cat" -l until -d 'Stop at the first record of this time or later' -r
complete -c alq -n "__fish_alq_using_subcommand cat" -l format -d 'How to print the bytes of a record' -r -f -a "text\t'The record and a newline, unless it ends with one'
raw\t'The bytes of all records, without anything between them; lines keep their newlines'
hex\t'Two hexadecimal digits for each byte, and a newline'"
complete -c alq -n "__fish_alq_using_subcommand cat" -l framing -d 'How records are separated, if LOG does not say so itself: fixed:BYTES or lengths' -r
complete -c alq -n "__fish_alq_using_subcommand cat" -l json -d 'Print one JSON object per record, with its file, offset, position and stamp'
complete -c alq -n "__fish_alq_using_subcommand cat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand follow" -s n -l last -d 'Begin with the last N records [default: 10; with --cursor, all records]' -r
complete -c alq -n "__fish_alq_using_subcommand follow" -l cursor -d 'Save the place in FILE after each write to standard output, and continue there the next time' -r -F
complete -c alq -n "__fish_alq_using_subcommand follow" -l format -d 'How to print the bytes of a record' -r -f -a "text\t'The record and a newline, unless it ends with one'
raw\t'The bytes of all records, without anything between them; lines keep their newlines'
hex\t'Two hexadecimal digits for each byte, and a newline'"
complete -c alq -n "__fish_alq_using_subcommand follow" -l framing -d 'How records are separated, if LOG does not say so itself: fixed:BYTES or lengths' -r
complete -c alq -n "__fish_alq_using_subcommand follow" -l json -d 'Print one JSON object per record, with its file, offset, position and stamp'
complete -c alq -n "__fish_alq_using_subcommand follow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand check" -l framing -d 'How records are separated, if LOG does not say so itself: fixed:BYTES or lengths' -r
complete -c alq -n "__fish_alq_using_subcommand check" -l chain -d 'Prove with the key in KEYFILE that no frame was changed, removed, inserted or moved' -r -F
complete -c alq -n "__fish_alq_using_subcommand check" -l least -d 'With --chain: LOG must hold what an earlier check has proved: FRAMES, or FRAMES:VALUE as `alq check --chain` prints it' -r
complete -c alq -n "__fish_alq_using_subcommand check" -l json -d 'Print one JSON object'
complete -c alq -n "__fish_alq_using_subcommand check" -l running -d 'With --chain: LOG is in use, so it need not end with a close'
complete -c alq -n "__fish_alq_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand recover" -l into -d 'Append to FILE, created if it does not exist, instead of the log that RING names (which must still be the same file)' -r -F
complete -c alq -n "__fish_alq_using_subcommand recover" -l dry-run -d 'Change nothing, and print what would be done'
complete -c alq -n "__fish_alq_using_subcommand recover" -l json -d 'Print one JSON object'
complete -c alq -n "__fish_alq_using_subcommand recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand dump" -l to -d 'Append to LOG, created if it does not exist, instead of writing to standard output' -r -F
complete -c alq -n "__fish_alq_using_subcommand dump" -l reason -d 'The reason in the first line [default: alq dump]' -r
complete -c alq -n "__fish_alq_using_subcommand dump" -l json -d 'Print one JSON object that counts the records, which are written only with --to'
complete -c alq -n "__fish_alq_using_subcommand dump" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand stat" -l interval -d 'Time between two readings of --watch, 0.01 to 86400' -r
complete -c alq -n "__fish_alq_using_subcommand stat" -l json -d 'Print one JSON object; with --watch, one per line'
complete -c alq -n "__fish_alq_using_subcommand stat" -l watch -d 'Read RING again and again: on a terminal one screen is redrawn, otherwise each reading is a line'
complete -c alq -n "__fish_alq_using_subcommand stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand bench" -l rounds -d 'Number of turns of each contestant: 1 to 1000 [default: 5, or 2 with --quick]' -r
complete -c alq -n "__fish_alq_using_subcommand bench" -l dir -d 'The folder for the logs, which are removed afterwards [default: /dev/shm, or the folder for temporary files]' -r -F
complete -c alq -n "__fish_alq_using_subcommand bench" -l json -d 'Write all figures to FILE as one JSON object' -r -F
complete -c alq -n "__fish_alq_using_subcommand bench" -l report -d 'Write FILE, a page for a browser with curves, bars and tables; it loads no other file' -r -F
complete -c alq -n "__fish_alq_using_subcommand bench" -l quick -d 'Do an eighth of the work, in two rounds: about ten seconds instead of two minutes'
complete -c alq -n "__fish_alq_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'

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
complete -c alq -n "__fish_alq_needs_command" -f -a "recover" -d 'Write what a killed process has left in RING'
complete -c alq -n "__fish_alq_needs_command" -f -a "stat" -d 'Show what RING holds, and what its queue is doing'
complete -c alq -n "__fish_alq_needs_command" -f -a "bench" -d 'Measure what an append costs on this machine'
complete -c alq -n "__fish_alq_using_subcommand append" -l capacity -d 'Size of the ring: 1 byte to 2G; K, M and G are powers of 1024 [default: 1M, or what RING was made with]' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l ring -d 'Keep the ring in this file, best in a folder in /run; what an earlier run has left there is appended first' -r -F
complete -c alq -n "__fish_alq_using_subcommand append" -l mode -d 'Permissions of a new file, less the umask' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l stall-limit -d 'Give up when the disk has been full for so long, or never: forever (a reader that pauses is waited for) [default: 5; forever where input is lines]' -r -f -a "forever\t''"
complete -c alq -n "__fish_alq_using_subcommand append" -l line-max -d 'Where a longer line may be split, all the same; 1K to 1G [default: 64K, or a quarter of the ring]' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l timestamp -d 'Begin each line with the time its first byte was read: iso (RFC 3339, UTC), local, tai64n, or a strftime(3) format such as \'%b %e %T\'' -r -f -a "iso\t''
local\t''
tai64n\t''"
complete -c alq -n "__fish_alq_using_subcommand append" -l when-full -d 'What to do with lines while FILE takes nothing and the ring is full: wait, or drop them and say so in FILE' -r -f -a "block\t'Standard input is not read until there is room'
drop\t'It is gone; a line in FILE says how many are'"
complete -c alq -n "__fish_alq_using_subcommand append" -l rotate-size -d 'Go on in a new file before FILE has more than this; 1K or more' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l rotate-every -d 'Go on in a new file at the end of each hour, day, week or month, or so many minutes or hours, as in 10m or 6h' -r -f -a "hour\t''
day\t''
week\t''
month\t''"
complete -c alq -n "__fish_alq_using_subcommand append" -l keep -d 'Keep so many rotated files at most, beside FILE itself' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l keep-age -d 'Keep rotated files no longer than this, as in 12h, 30d or 2w' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l keep-bytes -d 'Keep no more than this of rotated files together, without FILE itself' -r
complete -c alq -n "__fish_alq_using_subcommand append" -l compress -d 'Pack rotated files in the background: gzip or zstd' -r -f -a "gzip\t''
zstd\t''"
complete -c alq -n "__fish_alq_using_subcommand append" -l link -d 'Have a symbolic link here that leads to FILE' -r -F
complete -c alq -n "__fish_alq_using_subcommand append" -l ring-on-disk -d 'Accept RING on a disk without a warning: input may wait for that disk then'
complete -c alq -n "__fish_alq_using_subcommand append" -l resume -d 'Go on behind what FILE holds, which must be the beginning of standard input, a file, and nothing else'
complete -c alq -n "__fish_alq_using_subcommand append" -l fsync -d 'Report success only once the data, and a new file\'s directory entry, are on disk'
complete -c alq -n "__fish_alq_using_subcommand append" -l follow-links -d 'Follow FILE if it is a symbolic link (/dev/stdout is one)'
complete -c alq -n "__fish_alq_using_subcommand append" -l until-eof -d 'Ignore SIGINT and SIGTERM, and go on to the end of input; SIGQUIT ends it'
complete -c alq -n "__fish_alq_using_subcommand append" -l quiet -d 'Print no summary'
complete -c alq -n "__fish_alq_using_subcommand append" -l line -d 'Treat input as lines: SIGTERM reads to the end of a line, SIGHUP opens FILE anew, and no line is in two files'
complete -c alq -n "__fish_alq_using_subcommand append" -l rotate-at-start -d 'Go on in a new file when there is something in FILE at the start'
complete -c alq -n "__fish_alq_using_subcommand append" -l rotate-on-signal -d 'Go on in a new file on SIGUSR1 and SIGALRM alone'
complete -c alq -n "__fish_alq_using_subcommand append" -l utc -d 'Periods are those of UTC, not of the local time zone'
complete -c alq -n "__fish_alq_using_subcommand append" -l shared-folder -d 'As root, rotate FILE also where other users may change a directory above it'
complete -c alq -n "__fish_alq_using_subcommand append" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand recover" -l into -d 'Append to FILE, created if need be, instead of the log that is noted in RING (which must still be that file)' -r -F
complete -c alq -n "__fish_alq_using_subcommand recover" -l dry-run -d 'Change nothing, and print what would be done'
complete -c alq -n "__fish_alq_using_subcommand recover" -l json -d 'Print one JSON object'
complete -c alq -n "__fish_alq_using_subcommand recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand stat" -l interval -d 'How long --watch waits between two looks, 0.01 to 86400' -r
complete -c alq -n "__fish_alq_using_subcommand stat" -l json -d 'Print one JSON object; with --watch, one a line'
complete -c alq -n "__fish_alq_using_subcommand stat" -l watch -d 'Look again and again: a screen that is drawn over on a terminal, a line each time elsewhere'
complete -c alq -n "__fish_alq_using_subcommand stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c alq -n "__fish_alq_using_subcommand bench" -l rounds -d 'How often each has its turn: 1 to 1000 [default: 5, or 2 with --quick]' -r
complete -c alq -n "__fish_alq_using_subcommand bench" -l dir -d 'The folder for the logs, which are removed again [default: /dev/shm, or else that for temporary files]' -r -F
complete -c alq -n "__fish_alq_using_subcommand bench" -l json -d 'Write all figures to FILE, as one JSON object' -r -F
complete -c alq -n "__fish_alq_using_subcommand bench" -l report -d 'Write FILE, a page for a browser with curves, bars and tables; it needs nothing but itself' -r -F
complete -c alq -n "__fish_alq_using_subcommand bench" -l quick -d 'An eighth of the work, and two rounds: some ten seconds in place of two minutes or so'
complete -c alq -n "__fish_alq_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'

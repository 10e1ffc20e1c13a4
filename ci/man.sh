#!/usr/bin/env bash
# Checks that the manual pages and the shell completions match the command line, and that mandoc,
# man and the shells accept them.
#
#     ci/man.sh          checks
#     ci/man.sh write    generates them again
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = write ]; then
    export ALQ_GENERATE=1
fi
cargo test --quiet --locked --workspace --all-features --bin alq manual_pages_and_completions
cd crates/cli

# $1: a program that may not be installed; $2: what it checks.
checked() {
    if command -v "$1" >/dev/null; then
        echo "$1: $2"
        return 0
    fi
    echo "skipped: $1 is not installed: $2"
    return 1
}
if checked mandoc 'pages are well formed'; then
    # Two warnings are expected: the pages have no date, so that they do not change every day, and
    # the generator puts a superfluous line break before the values of an option.
    faults=$(mandoc -T lint -W warning man/*.1 | grep -vE 'missing date|skipping paragraph macro: br' || true)
    [ -z "$faults" ] || { echo "$faults" >&2; exit 1; }
fi
if checked man 'pages can be shown'; then
    for page in man/*.1; do
        said=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
        [ -z "$said" ] || { echo "$page: $said" >&2; exit 1; }
    done
fi
if checked bash 'completions are completed'; then
    bash -n completions/alq.bash
    found=$(bash -c 'source completions/alq.bash; COMP_WORDS=(alq st); COMP_CWORD=1; _alq alq st alq; echo "${COMPREPLY[*]}"')
    [ "$found" = stat ] || { echo "completions/alq.bash: st is completed to '$found'" >&2; exit 1; }
fi
if checked zsh 'completions can be read'; then
    zsh -n completions/_alq
fi
if checked fish 'completions can be read'; then
    fish --no-execute completions/alq.fish
fi

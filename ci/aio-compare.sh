#!/usr/bin/env bash
# Runs test programs for <aio.h> that were built elsewhere, such as a conformance suite: with libc's
# implementation, and with libalq-aio preloaded. Prints a table with a row for each folder. Fails if
# a program passes only with libc.
#
#     ci/aio-compare.sh FOLDER    each executable file in it is a program; it passes if it exits with 0
set -euo pipefail
if [ $# != 1 ] || ! [ -d "$1" ]; then
    echo "usage: ${0##*/} FOLDER (a folder of test programs)" >&2
    exit 2
fi
programs=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ALQ_PROFILE=${ALQ_PROFILE:-dev} ci/install-aio.sh "$work/prefix" >&2
library=$work/prefix/lib/libalq-aio.so

# Whether a program passes, with $1 preloaded.
passes() { (cd "$work" && LD_PRELOAD=$1 timeout 60 "$2" >"$work/out" 2>&1); }

declare -A all libc_passes alq
lost=()
while IFS= read -r program; do
    folder=$(basename "$(dirname "$program")")
    all[$folder]=$((${all[$folder]:-0} + 1))
    libc=0
    if passes '' "$program"; then
        libc=1
        libc_passes[$folder]=$((${libc_passes[$folder]:-0} + 1))
    fi
    if passes "$library" "$program"; then
        alq[$folder]=$((${alq[$folder]:-0} + 1))
    elif [ $libc = 1 ]; then
        lost+=("$program")
    fi
done < <(find "$programs" -type f -perm -u+x | sort)
printf '%-20s %8s %6s %11s\n' folder programs libc libalq-aio
for folder in $(printf '%s\n' "${!all[@]}" | sort); do
    printf '%-20s %8d %6d %11d\n' "$folder" "${all[$folder]}" "${libc_passes[$folder]:-0}" "${alq[$folder]:-0}"
done
for program in "${lost[@]}"; do
    echo "passes only with libc: $program" >&2
done
[ ${#lost[@]} = 0 ]

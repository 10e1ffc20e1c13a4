#!/usr/bin/env bash
# Runs the shell commands of the README, one block after another. (ci/test.sh runs the tests.)
set -euo pipefail
cd "$(dirname "$0")/.."
run=${XDG_RUNTIME_DIR:-/run}
files=(packets.log demo.log input "$run/demo.ring" myapp.log myapp.log.lock "$run/myapp.ring")
for file in "${files[@]}"; do
    [ ! -e "$file" ] || { echo "$file exists already: remove it" >&2; exit 1; }
done
programs=$(mktemp -d)
trap 'rm -rf "${files[@]}" "$programs"' EXIT

. ci/tool.sh
printf '#!/bin/sh\necho a line; echo another >&2\n' >"$programs/myapp"
chmod +x "$programs/myapp"
PATH=$programs:$PATH

blocks=$(awk '/^```sh$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print n "\t" $0 }' README.md)
ran=0
for n in $(cut -f 1 <<<"$blocks" | sort -nu); do
    block=$(awk -F '\t' -v n="$n" '$1 == n { sub(/^[0-9]+\t/, ""); print }' <<<"$blocks")
    case $block in 'cargo test '*) continue ;; esac
    printf '%s\n' "$block"
    bash -euo pipefail -c "$block" >/dev/null || { echo "README.md: this block failed:"$'\n'"$block" >&2; exit 1; }
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ]

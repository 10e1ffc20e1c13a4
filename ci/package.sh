#!/usr/bin/env bash
# Checks the package that would be published: it holds the expected files only, and it builds alone.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
    git ls-files --cached --others --exclude-standard src docs README.md CHANGELOG.md 'LICENSE-*'
    printf '%s\n' .cargo_vcs_info.json Cargo.lock Cargo.toml Cargo.toml.orig # added by Cargo
} | sort -u >"$work/expected"
cargo package -p alq --list --allow-dirty --locked 2>/dev/null | sort >"$work/holds"
diff "$work/expected" "$work/holds" # < is missing, > should not be there
cargo package -p alq --allow-dirty --locked --quiet
echo "$(wc -l <"$work/holds") files; the package builds"

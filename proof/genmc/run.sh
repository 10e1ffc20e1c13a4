#!/usr/bin/env bash
# Explores each twin under two memory models: RC11 and IMM. The head of a twin says what must
# happen, in lines of this form:
#
#     // needs -DFLAG: LABEL ...    without this ordering it must fail; with all of them it must pass
#     // needs-rc11 -DFLAG: LABEL ...    the same, explored under RC11 only
#     // holds -DFLAG: LABEL ...    without this ordering it must still pass
#
#     proof/genmc/run.sh            all twins
#     proof/genmc/run.sh seal.c     one
#
# GENMC names the program, `genmc` by default. ci/install-genmc.sh builds it.
set -euo pipefail
cd "$(dirname "$0")"
genmc=${GENMC:-genmc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# $1: pass or fail; $2: the memory model; $3: the twin; the rest: flags of the compiler.
explore() {
    local wanted=$1 model=$2 twin=$3 said found count
    shift 3
    said=$work/$BASHPID
    # The exit code is 42 also for programs that GenMC cannot read, so the text decides.
    # Seconds of the processor: a loaded machine fails nothing.
    (ulimit -t 600; exec "$genmc" "--$model" --check-liveness --disable-estimation \
        --disable-mm-detector -- "$@" "$twin") >"$said" 2>&1 || true
    count=$(sed -n 's/^Number of complete executions explored: //p' "$said")
    if grep -q '^No errors were detected' "$said"; then
        found=pass
    elif grep -qE '^Error: (Non-atomic race|Safety violation|Liveness violation)!' "$said"; then
        found=fail
    else
        found='error'
    fi
    if [ "$found" = "$wanted" ]; then
        [ "$wanted" = fail ] || echo "$twin $* $model: $count executions"
        [ "$wanted" = pass ] || echo "$twin $* $model: $(sed -n 's/^Error: //p' "$said" | head -n 1)"
    else
        echo "$twin $* $model: expected $wanted, found $found" >&2
        tail -n 30 "$said" >&2
        return 1
    fi
}
export -f explore
export genmc work

# Prints the arguments of every exploration.
list() {
    local twin claim flags labels label model models
    for twin in "$@"; do
        grep -E '^// (needs|holds)' "$twin" | while IFS=: read -r claim labels; do
            read -r _ claim flags <<<"$claim"
            models='rc11 imm'
            [ "$claim" != needs-rc11 ] || models=rc11
            for model in $models; do
                echo pass "$model" "$twin" $flags
                for label in $labels; do
                    case $claim in
                        needs | needs-rc11) echo fail "$model" "$twin" $flags "-DMUTANT=$label" ;;
                        holds) echo pass "$model" "$twin" $flags "-DMUTANT=$label" ;;
                    esac
                done
            done
        done
    done | sort -u
}
[ $# -gt 0 ] || set -- *.c
list "$@" | xargs -P "${JOBS:-$(nproc)}" -L 1 bash -c 'explore "$@"' _

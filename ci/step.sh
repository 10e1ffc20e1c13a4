# Sourced by the scripts that run others: `step COMMAND` runs it and reports its time and what it used of the processors.

step() {
    local TIMEFORMAT="--- $*: %0R s, processors %0U + %0S s"
    printf '\n=== %s\n' "$*"
    time "$@"
}

# Sourced by scripts that run other scripts: `step COMMAND` runs it and reports its time and CPU
# time.

step() {
    local TIMEFORMAT="--- $*: %0R s, processors %0U + %0S s"
    printf '\n=== %s\n' "$*"
    time "$@"
}

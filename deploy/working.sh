# To be read by other scripts: `working WHAT COMMAND …` runs a command that says nothing, and says itself every few
# seconds that it still works, and what its last word was. What it wrote is shown where it fails.

working_says() {
    last=$(tr '\r' '\n' <"$2" | grep . | tail -n 1 | cut -c 1-100)
    echo "  … $1: $3 s${last:+: $last}"
}

working() {
    working_on=$1
    shift
    working_log=$(mktemp)
    # In the background Ctrl-C does not reach it: it is passed on.
    "$@" >"$working_log" 2>&1 </dev/null &
    working_pid=$!
    trap 'kill "$working_pid" 2>/dev/null; rm -f "$working_log"; exit 130' INT TERM HUP
    working_seconds=0
    while kill -0 "$working_pid" 2>/dev/null; do
        sleep 1
        working_seconds=$((working_seconds + 1))
        [ $((working_seconds % 4)) -ne 0 ] || working_says "$working_on" "$working_log" "$working_seconds"
    done
    working_result=0
    wait "$working_pid" || working_result=$?
    trap - INT TERM HUP
    [ "$working_result" = 0 ] || tail -n 30 "$working_log" >&2
    rm -f "$working_log"
    return "$working_result"
}

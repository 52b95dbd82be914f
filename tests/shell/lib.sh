# shellcheck shell=bash
# Reporting, assertions and server management for the shell suites: cookbook, package and static.
# Their `run` scripts source this file and set ONLY and WORK.

PASSED=0 FAILED=0
status=0 # of the last `try`
declare -A PID=() PORT=() LOG=() MARK=()
CMD=()
LIMIT=60 # seconds for each command under test

# ---- reporting -------------------------------------------------------------------------------------------------

wanted() { # NAME: returns 0 if --only chooses this check
    # The pattern is unquoted on purpose: --only takes a glob such as 'tls*'.
    # shellcheck disable=SC2053
    [ -z "$ONLY" ] || [[ $1 == $ONLY ]]
}

pass() { # NAME [SECONDS]
    PASSED=$((PASSED + 1))
    printf 'ok   %s%s\n' "$1" "${REAL_TIMES:+ (${2:-} s)}"
}

flunk() { # NAME FILE: the file is the evidence
    FAILED=$((FAILED + 1))
    printf "FAIL %s\n" "$1"
    sed "s/^/     | /" "$2"
}

# Runs a function in a subshell, so that an assertion can simply exit. If the function fails, the
# report contains its output.
check() { # NAME COMMAND...
    local name=$1 status=0 began=$EPOCHREALTIME server
    shift
    wanted "$name" || return 0
    CASE=$WORK/case/$name
    mkdir -p "$CASE"
    for server in "${!LOG[@]}"; do
        MARK[$server]=$(stat -c %s "${LOG[$server]}")
    done
    ("$@") >"$CASE/evidence" 2>&1 </dev/null || status=$?
    if [ "$status" -eq 0 ]; then
        pass "$name" "$(awk "BEGIN{printf \"%.1f\", $EPOCHREALTIME - $began}")"
        return 0
    fi
    {
        tail -n 40 "$CASE/evidence"
        # Include only servers that logged something during this check.
        for server in "${!LOG[@]}"; do
            news "$server" >"$CASE/news"
            [ -s "$CASE/news" ] && printf 'log of %s:\n' "$server" && tail -n 6 "$CASE/news" | cut -c1-300
        done
    } >"$CASE/report"
    flunk "$name" "$CASE/report"
}

# ---- inside a check --------------------------------------------------------------------------------------------

fail() {
    printf 'reason: %s\n' "$*"
    exit 1
}

# Runs a command with a time limit. The assertions below check its exit status and its output.
try() { # COMMAND...
    printf '$'
    printf ' %q' "$@"
    printf '\n'
    status=0
    timeout -k 5 "$LIMIT" "$@" >"$CASE/out" 2>"$CASE/err" || status=$?
    printf 'exit status: %s\n' "$status"
    sed 's/^/stderr: /' "$CASE/err" | tail -n 8
}

want_status() { # N
    [ "$status" -eq "$1" ] || fail "exit status $status, expected $1"
    # A status of 124 or higher comes from timeout(1) or a signal. No expected status is that high.
    [ "$status" -lt 124 ] || fail "ended by a signal or after $LIMIT seconds"
}

want_out() { # TEXT: stdout is exactly this
    [ "$(cat "$CASE/out")" = "$1" ] || fail "stdout is not '$1' but: $(head -c 200 "$CASE/out" | cat -v)"
}

want_banner() {
    grep -aq '^SSH-2\.0-' "$CASE/out" || fail "no ssh banner, but: $(head -c 200 "$CASE/out" | cat -v)"
}

want_nothing_out() {
    [ ! -s "$CASE/out" ] || fail "stdout not empty: $(head -c 200 "$CASE/out" | cat -v)"
}

# Expects stderr to be one line that starts with the program's name and matches each pattern.
want_line() { # REGEX...
    local regex
    [ -s "$CASE/err" ] || fail "nothing on stderr"
    [ "$(wc -l <"$CASE/err")" -eq 1 ] || fail "stderr is not one line"
    for regex in '^connect: ' "$@"; do
        grep -Eiq -e "$regex" "$CASE/err" || fail "stderr does not match /$regex/"
    done
}

want_secret_kept() { # PASSWORD
    ! grep -Fq -e "$1" "$CASE/out" "$CASE/err" || fail "the output contains the password"
}

news() { # SERVER: prints what its log got since the check began
    tail -c "+$((${MARK[$1]:-0} + 1))" "${LOG[$1]}"
}

want_log() { # SERVER REGEX; a server may log a session after its end, so this waits
    poll 50 logged "$@" || fail "no line of $1's log matches /$2/: the session did not go through it"
}

logged() { news "$1" | grep -Eq -e "$2"; }

same() { # FILE FILE
    [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ] || fail "$1 and $2 differ"
}

poll() { # TENTHS COMMAND...: repeats the command until it succeeds, for this many tenths of a second
    local left=$(($1 * 2))
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.05
    done
}

# ---- servers ---------------------------------------------------------------------------------------------------

free_port() { # sets FREE to a port below the range of outgoing connections
    local i
    for ((i = 0; i < 100; i++)); do
        FREE=$((10000 + RANDOM % 20000))
        [ -n "$(ss -Htan "sport = :$FREE")" ] || return 0
    done
    die "no free port found"
}

# Starts a server in its own session. SETUP is passed the ports, writes the configuration, and sets
# CMD to a command that does not daemonize. Tries several times, because another program may take a
# port between our check that the port is free and the server's bind.
serve() { # NAME SETUP PORTNAME...
    local name=$1 setup=$2 attempt portname ports
    shift 2
    LOG[$name]=$WORK/log/$name
    : >"${LOG[$name]}"
    for attempt in 1 2 3 4 5; do
        ports=()
        for portname in "$@"; do
            free_port
            # The suites use PORT.
            # shellcheck disable=SC2034
            PORT[$portname]=$FREE
            ports+=("$FREE")
        done
        "$setup" "${ports[@]}"
        setsid "${CMD[@]}" >>"$WORK/log/$name" 2>&1 </dev/null &
        PID[$name]=$!
        if poll 150 settled "$name" "${ports[@]}" && ! gone "${PID[$name]}"; then
            return 0
        fi
        stop "$name"
    done
    sed 's/^/     | /' "$WORK/log/$name" | tail -n 12
    die "$name did not start in $attempt attempts; its log is above"
}

settled() { # NAME PORT...: returns 0 if the server has exited, or listens on every port
    local name=$1 port seen
    shift
    ! gone "${PID[$name]}" || return 0
    for port in "$@"; do
        seen=$(ss -Htlnp "sport = :$port")
        # For ordinary users, ss cannot show every server's process. If it shows none, accept any
        # listener.
        case $seen in
        '') return 1 ;;
        *users:*) [[ $seen == *"pid=${PID[$name]},"* ]] || return 1 ;;
        esac
    done
}

stop() { # NAME; with its children, which share its session
    local pid=${PID[$1]:-}
    [ -n "$pid" ] || return 0
    unset "PID[$1]"
    kill -- "-$pid" 2>/dev/null
    poll 20 gone "$pid"
    kill -KILL -- "-$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    return 0
}

# Returns 0 if the process has exited, even if it is still a zombie. (kill -0 finds a zombie, and a
# child stays one until `wait`.)
gone() { # PID
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
    [[ ${stat##*) } == Z* ]]
}

cleanup() {
    local name status=$?
    trap - EXIT
    trap '' HUP INT TERM
    # Hide the shell's messages about killed jobs.
    exec 2>/dev/null
    for name in "${!PID[@]}"; do
        kill -- "-${PID[$name]}" 2>/dev/null
    done
    for name in "${!PID[@]}"; do
        stop "$name"
    done
    if [ -n "${REAL_KEEP:-}" ]; then
        printf 'kept %s\n' "$WORK"
    else
        rm -rf "$WORK"
    fi
    exit "$status"
}

need_programs() { # stdin: PROGRAM PACKAGE, one per line
    local program package missing=0
    while read -r program package; do
        [ -n "$(type -P "$program")" ] && continue
        printf 'FAIL %s: not installed; install the Debian package %s\n' "$program" "$package"
        missing=$((missing + 1))
    done
    [ "$missing" -eq 0 ] || { printf '0 passed, %s failed\n' "$missing" && exit 1; }
}

die() { # the suite cannot go on, which is a failure and not a skip
    printf 'FAIL %s\n%s passed, %s failed\n' "$*" "$PASSED" $((FAILED + 1))
    exit 1
}

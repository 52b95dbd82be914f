# shellcheck shell=bash
# The unit and integration tests under wine. Sourced by `run`.
#
# Tests that compile for Windows run inside wine: the test and the program are both wine processes,
# with wine's pipes, paths and variables. The other tests need signals, terminals or sockets as
# stdin. They run outside wine and start the program inside it.
: "${HERE:?}" "${ROOT:?}"

# Modules whose tests can pass outside wine. The other modules need shell scripts as helpers, a
# terminal in addition to stdin, signals, UNIX-domain sockets or descriptor passing;
# tests/windows/*.rs covers those features that Windows supports.
OUTSIDE='cli|dial|http|http_auth|local_port|relay|regression|socks4|socks5|trace'

# Modules that only read the source and the documentation, so their results do not depend on the
# system.
TEXTS='architecture|docs|layering|recording|style'

# Maximum number of failing tests to retry.
SECOND_ATTEMPTS=6

# Runs the unit tests, except those of `proto`, which contains no platform-specific code and whose
# tests take minutes in a debug build, and those in not-under-wine.
topic_unit() {
    build_tests
    local name status=0 skipped=(--skip proto::)
    "$WINE" "$UNIT" --list --format terse </dev/null >"$WORK/log/list" 2>/dev/null
    while read -r name; do
        tr -d '\r' <"$WORK/log/list" | grep -Fqx "$name: test" ||
            die "tests/windows/not-under-wine lists a unit test that does not exist: $name"
        skipped+=(--skip "$name")
    done < <(not_under_wine | sed -n 's/^unit //p')
    "$WINE" "$UNIT" --quiet --test-threads=4 "${skipped[@]}" ${FILTER:+"$FILTER"} </dev/null >"$WORK/log/unit" 2>&1 ||
        status=$?
    tail -n 40 "$WORK/log/unit"
    [ "$status" = 0 ] || return 1
    [ -n "$FILTER" ] || grep -Eq '^test result: ok\. [1-9][0-9]+ passed' "$WORK/log/unit"
}

not_under_wine() {
    sed 's/[[:blank:]]*#.*//; /^$/d' "$HERE/not-under-wine"
}

topic_integration() {
    build_tests
    list_tests inside >"$WORK/all"
    grep -Ev "^($TEXTS)::" "$WORK/all" >"$WORK/inside"
    list_tests outside >"$WORK/all"
    grep -E "^($OUTSIDE)::" "$WORK/all" | comm -23 - "$WORK/inside" >"$WORK/outside"
    not_under_wine | grep -v '^unit ' | sort >"$WORK/excluded"
    local module unknown
    for module in ${OUTSIDE//|/ }; do
        grep -q "^$module::" "$WORK/all" || die "OUTSIDE in tests/windows/integration.sh names the module $module, which has no tests"
    done
    unknown=$(sort "$WORK/inside" "$WORK/outside" | comm -13 - "$WORK/excluded")
    [ -z "$unknown" ] || die "tests/windows/not-under-wine lists tests that do not exist: ${unknown//$'\n'/ }"
    PASSED=0 FAILURES=0
    run_tests inside
    run_tests outside
    printf 'integration: %s passed, %s failed\n' "$PASSED" "$FAILURES"
    [ "$FAILURES" = 0 ] && [ "$PASSED" != 0 ]
}

inside() { # ARGUMENT...
    (cd "$ROOT" && CONNECT_UNDER_TEST=Z:$WORK/bin/connect.exe RUST_BACKTRACE=0 timeout -k 5 900 \
        "$WINE" "$INTEGRATION" "$@") </dev/null
}

outside() { # ARGUMENT...
    (cd "$ROOT" && CONNECT_UNDER_TEST=$CONNECT RUST_BACKTRACE=0 timeout -k 5 900 \
        cargo test --locked --test integration -- "$@") </dev/null
}

list_tests() { # inside | outside
    "$1" --list --format terse >"$WORK/log/list" 2>&1 || {
        tail -n 20 "$WORK/log/list" | sed 's/^/     | /' >&2
        die "the integration tests do not compile or do not start"
    }
    sed -n 's/: test$//p' "$WORK/log/list" | sort
}

run_tests() { # inside | outside
    local where=$1 name tests=()
    while read -r name; do
        [[ $name != *"$FILTER"* ]] || tests+=("$name")
    done < <(comm -23 "$WORK/$where" "$WORK/excluded")
    [ ${#tests[@]} -gt 0 ] || return 0
    "$where" --exact --test-threads=4 "${tests[@]}" >"$WORK/log/$where" 2>&1
    for name in "${tests[@]}"; do
        if is_ok "$name" "$WORK/log/$where" || passes_alone "$where" "$name"; then
            PASSED=$((PASSED + 1))
        else
            FAILURES=$((FAILURES + 1))
            printf 'FAILED %s\n' "$name"
            # A test that cannot pass under wine belongs in not-under-wine, with the reason.
            sed 's/^/     | /' "$WORK/report"
        fi
    done
}

# Reruns a failed test alone. If the test now passes, prints the first failure and returns 0. On a
# busy machine, wine fails to start a program, or loses a connection within the test process, about
# once in a thousand tests.
passes_alone() { # inside | outside, NAME
    evidence "$2" "$WORK/log/$1"
    [ $((SECOND_ATTEMPTS -= 1)) -ge 0 ] || return 1
    "$1" --exact "$2" >"$WORK/log/again" 2>&1
    if is_ok "$2" "$WORK/log/again"; then
        printf 'passed on the second attempt: %s; the first:\n' "$2"
        sed 's/^/     | /' "$WORK/report"
        return 0
    fi
    evidence "$2" "$WORK/log/again"
    return 1
}

is_ok() { # NAME LOG
    grep -Fqx -e "test $1 ... ok" -e "test $1 - should panic ... ok" "$2"
}

# Writes the output of a failed test to the report.
evidence() { # NAME LOG
    sed -n "/^---- $1 stdout ----$/,/^---- /p" "$2" | grep -Ev '^ +([0-9]+:|at )|^---- ' | cut -c1-300 |
        head -n 20 >"$WORK/report"
}

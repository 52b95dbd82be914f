# shellcheck shell=bash
# The tests of the library and the integration tests, with the program for Windows.
#
# Tests that build for Windows run as they do there: test and program are processes of wine, with its pipes, paths and
# variables. The rest, whose harness needs what only Unix has (signals, descriptors of any kind), run outside wine and
# start the program in it.

# The suites of the rest that may hold. The others are about what wine's programs do not get: shell scripts to start
# (askpass), a terminal beside stdin (password), an end by a signal (listen, kept_port), UNIX-domain sockets, a connection
# handed over. See windows.sh.
REST='cli|dial|http|http_auth|local_port|pump|regression|socks4|socks5|trace'

# How many tests had a second try.
AGAIN=0

topic_unit() {
    wanted unit || return 0
    build_tests
    check unit unit_tests
}

# All but those of `proto`, which knows no system; without optimization they take minutes.
unit_tests() {
    try "$WINE" "$UNIT" --test-threads=4 --skip proto::
    cat "$CASE/out"
    want_status 0
    grep -Eq '^test result: ok\. [1-9][0-9]+ passed' "$CASE/out" || fail "no tests"
}

topic_integration() {
    [ -z "$ONLY" ] || [ "$ONLY" = integration ] || [[ $ONLY == integration/* ]] || return 0
    build_tests
    list_tests inside >"$WORK/inside"
    list_tests outside | grep -E "^($REST)::" | comm -23 - "$WORK/inside" >"$WORK/outside"
    sed 's/[[:blank:]]*#.*//; /^$/d' "$HERE/not-under-wine" | sort >"$WORK/excluded"
    # The list stays honest: each name on it is a test.
    sort "$WORK/inside" "$WORK/outside" | comm -13 - "$WORK/excluded" >"$WORK/vanished"
    check integration/list cmp "$WORK/vanished" /dev/null
    run_tests inside
    run_tests outside
}

# How tests are run.
inside() { # ARGUMENT...
    (cd "$ROOT" && CONNECT_UNDER_TEST=Z:$WORK/bin/connect.exe RUST_BACKTRACE=0 timeout -k 5 900 \
        "$WINE" "$INTEGRATION" "$@") </dev/null
}

outside() { # ARGUMENT...
    (cd "$ROOT" && CONNECT_UNDER_TEST=$CONNECT RUST_BACKTRACE=0 timeout -k 5 900 \
        cargo test --locked --test integration -- "$@") </dev/null
}

list_tests() { # HOW
    "$1" --list --format terse >"$WORK/log/list" 2>&1 || {
        tail -n 20 "$WORK/log/list" | sed 's/^/     | /' >&2
        die "the integration tests do not build, or do not start" >&2
    }
    sed -n 's/: test$//p' "$WORK/log/list" | sort
}

run_tests() { # HOW
    local how=$1 name tests=()
    while read -r name; do
        ! wanted "integration/$name" || tests+=("$name")
    done < <(comm -23 "$WORK/$how" "$WORK/excluded")
    [ ${#tests[@]} -gt 0 ] || return 0
    "$how" --exact --test-threads=4 "${tests[@]}" >"$WORK/log/$how" 2>&1
    for name in "${tests[@]}"; do
        is_ok "$name" "$WORK/log/$how" && { pass "integration/$name" && continue; }
        evidence "$name" "$WORK/log/$how"
        # On a busy machine wine loses a program that is to start, or a connection within the test's own process, about
        # once in a thousand tests. So there is a second try, alone, for a few; and it is told.
        if [ $((AGAIN += 1)) -le 6 ]; then
            "$how" --exact "$name" >"$WORK/log/again" 2>&1
            if is_ok "$name" "$WORK/log/again"; then
                pass "integration/$name"
                printf '     | at the second try; at the first:\n'
                sed 's/^/     | /' "$WORK/report"
                continue
            fi
            evidence "$name" "$WORK/log/again"
        fi
        # One that cannot hold under wine belongs into the list, with the reason.
        flunk "integration/$name" "$WORK/report"
    done
}

is_ok() { # NAME LOG
    grep -Fqx -e "test $1 ... ok" -e "test $1 - should panic ... ok" "$2"
}

evidence() { # NAME LOG
    sed -n "/^---- $1 stdout ----$/,/^---- /p" "$2" | grep -Ev '^ +([0-9]+:|at )|^---- ' | cut -c1-300 |
        head -n 20 >"$WORK/report"
}

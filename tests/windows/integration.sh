# shellcheck shell=bash
# The integration tests of the program, with the program for Windows.

# Suites whose tests hold on any system. `password` needs a terminal beside stdin, which wine has not; see windows.sh.
SUITES='cli|dial|http|http_auth|pump|regression|socks4|socks5|trace'

topic_integration() {
    local name tests=()
    [ -z "$ONLY" ] || [ "$ONLY" = integration ] || [[ $ONLY == integration/* ]] || return 0
    integration --list --format terse >"$WORK/log/list" 2>&1 || {
        tail -n 20 "$WORK/log/list" | sed 's/^/     | /'
        die "the integration tests do not build"
    }
    sed -n 's/: test$//p' "$WORK/log/list" | grep -E "^($SUITES)::" | sort >"$WORK/tests"
    sed 's/[[:blank:]]*#.*//; /^$/d' "$HERE/not-under-wine" | sort >"$WORK/excluded"
    # The list stays honest: each name on it is a test.
    comm -13 "$WORK/tests" "$WORK/excluded" >"$WORK/vanished"
    check integration/list cmp "$WORK/vanished" /dev/null
    while read -r name; do
        ! wanted "integration/$name" || tests+=("$name")
    done < <(comm -23 "$WORK/tests" "$WORK/excluded")
    [ ${#tests[@]} -gt 0 ] || return 0
    integration --exact --test-threads=4 "${tests[@]}" >"$WORK/log/integration" 2>&1
    for name in "${tests[@]}"; do
        grep -Fqx "test $name ... ok" "$WORK/log/integration" && { pass "integration/$name" && continue; }
        evidence "$name" "$WORK/log/integration"
        # The program never fails with 1 and without a word: then it is wine that did not start it, which happens once
        # in a thousand times. Only then is there a second try.
        if grep -q ' exit 1 after ' "$WORK/report" && grep -q ' stderr: nothing' "$WORK/report"; then
            integration --exact "$name" >"$WORK/log/again" 2>&1
            grep -Fqx "test $name ... ok" "$WORK/log/again" && { pass "integration/$name" && continue; }
            evidence "$name" "$WORK/log/again"
        fi
        # One that cannot hold under wine belongs into the list, with the reason.
        flunk "integration/$name" "$WORK/report"
    done
}

evidence() { # NAME LOG
    sed -n "/^---- $1 stdout ----$/,/^---- /p" "$2" | grep -Ev '^ +([0-9]+:|at )|^---- ' | cut -c1-300 |
        head -n 20 >"$WORK/report"
}

integration() { # ARGUMENT...
    (cd "$ROOT" && CONNECT_UNDER_TEST=$CONNECT RUST_BACKTRACE=0 timeout -k 5 300 \
        cargo test --locked --test integration -- "$@") </dev/null
}

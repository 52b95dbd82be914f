# shellcheck shell=bash
# Checks the terminal recording at the top of the README, in which the script docs/recording/session
# types the commands.

# Runs the session again and compares its output with the recording. With --record, makes a new
# recording instead.
recording() {
    local session=$WORK/repository/docs/recording/session
    home
    if [ -n "$RECORD" ]; then
        install -o alice /dev/null "$WORK/session.cast"
        on_screen RECORDING=yes asciinema rec --overwrite --quiet --cols 100 --rows 25 --idle-time-limit 5 \
            --env TERM --command "$session" "$WORK/session.cast" || fail "asciinema failed"
        return
    fi
    on_screen script -qefc "$session" /dev/null >"$CASE/screen"
    plain <"$CASE/screen" >"$CASE/today"
    plain <"$session.txt" >"$CASE/recorded"
    diff -u "$CASE/recorded" "$CASE/today" ||
        fail "the recording in the README is out of date: run tests/cookbook/run --record"
}

on_screen() { alice env LC_ALL=C.UTF-8 TERM=xterm-256color "$@"; }

# Removes colors, empty lines, overwritten text, and details that vary between runs or sshd
# versions.
plain() {
    sed -E 's/\x1b\[[0-9;]*[A-Za-z]//g; s/\r+$//; s/.*\r//; s/ *[0-9]+\.[0-9] ms/ N ms/g; s/(SSH-2\.0-OpenSSH)_.*/\1/; /^$/d' |
        # Remove the error that ssh itself prints: it depends on whether ssh has already sent its
        # greeting.
        sed -E '/^(kex_exchange_identification|banner exchange): |^Connection closed by UNKNOWN/d'
}

# Copies the new recording into the repository, and regenerates the picture and the transcript from
# it. Runs outside the namespaces.
keep_recording() {
    cat "$WORK/session.cast" >"$ROOT/docs/recording/session.cast" &&
        (cd "$ROOT" && CONNECT_WRITE_RECORDING=1 cargo test --locked --quiet --test integration generated_from_the_cast)
}

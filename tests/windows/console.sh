# shellcheck shell=bash
# Passwords that are asked for on the console.

# wine's console is the terminal on stdin, so the session's stdin is the console too: a password is asked for where
# data is typed later. A console beside a redirected stdin, as under ssh, cannot be had under wine: conhost reads the
# Unix stdin. What is typed and what is on the screen are as in tests/real/terminal.sh.
on_console() { # COMMAND-LINE; sets KEYS, CONSOLE
    mkfifo "$CASE/keys"
    exec {KEYS}<>"$CASE/keys"
    : >"$CASE/screen"
    printf '$ %s\n' "$1"
    timeout -k 5 30 script -qefc "$1" /dev/null <"$CASE/keys" >"$CASE/screen" 2>&1 &
    CONSOLE=$!
}

# The console draws letter by letter, and its cursor moves take the place of blanks.
screen_has() { # TEXT
    sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' "$CASE/screen" | tr -d ' \r\n' | grep -aFq -e "${1// /}"
}

want_screen() { # TEXT
    poll 100 screen_has "$1" || {
        kill "$CONSOLE"
        fail "not on the screen: '$1', but: $(cat -v "$CASE/screen")"
    }
}

console_ended() {
    status=0
    wait "$CONSOLE" || status=$?
    printf 'exit status: %s\n' "$status"
    cat -v "$CASE/screen"
}

# The remote ends it, while the program waits for more from the console. (Ctrl-Z, a console's end of input, does not
# come through wine's console.)
console_password() {
    on_console "$CONNECT -S $USER_NAME@127.0.0.1:${PORT[microsocks-user]} 127.0.0.1 ${PORT[line]} >$CASE/out"
    want_screen "Enter SOCKS5 password for $USER_NAME@127.0.0.1:"
    sleep 0.5
    printf '%s\r' "$PLAIN_PASSWORD" >&"$KEYS"
    poll 200 logged microsocks-user "connected to 127.0.0.1:${PORT[line]}" || {
        kill "$CONSOLE"
        fail "not logged in; on the screen: $(cat -v "$CASE/screen")"
    }
    # The echo is back for the session: what is typed now shows, and goes out.
    printf 'typed line\r' >&"$KEYS"
    want_screen 'typed line'
    console_ended
    [ "$status" -eq 0 ] || fail "exit status $status"
    printf 'typed line\r\n' | cmp - "$CASE/out" || fail "stdout is not the line: $(cat -v "$CASE/out")"
    ! grep -aFq -e "$PLAIN_PASSWORD" "$CASE/screen" "$CASE/out" || fail "the console echoed the password"
}

no_console() {
    try setsid -w "$CONNECT" -S "$USER_NAME@127.0.0.1:${PORT[microsocks-user]}" 127.0.0.1 "${PORT[greeting]}"
    want_status 6
    want_line 'SOCKS5_PASSWORD'
}

console_ctrl_c() {
    on_console "$WINE $WORK/bin/launch.exe console $WORK/bin/connect.exe \
        -S $USER_NAME@127.0.0.1:${PORT[microsocks-user]} 127.0.0.1 ${PORT[greeting]}"
    want_screen "Enter SOCKS5 password for $USER_NAME@127.0.0.1:"
    printf '\003' >&"$KEYS"
    console_ended
    # Windows ends a program with a code for Ctrl-C, wine 8 with 0.
    [ "$status" -eq 130 ] || [ "$status" -eq 0 ] || fail "exit status $status, expected that of Ctrl-C"
    screen_has 'the console echoes' || fail "the console is left without echo"
}

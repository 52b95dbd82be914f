# shellcheck shell=bash
# Passwords typed on a terminal, while stdin and stdout carry the session; and no terminal to ask on.

topic_terminal() {
    check ask-on-terminal/socks5 ask socks5-microsocks-user 'Enter SOCKS5 password for %s@127.0.0.1: ' SOCKS5_USER
    check ask-on-terminal/http ask http-tinyproxy-user 'Enter proxy authentication password for %s@127.0.0.1: ' HTTP_PROXY_USER
    check ask-on-terminal/wrong-answer ask_wrong
    check not-asked-in-vain/socks5 not_asked socks5-microsocks
    check not-asked-in-vain/http not_asked http-tinyproxy
    check no-terminal/socks5 no_terminal -S microsocks-user SOCKS5_USER SOCKS5_PASSWORD
    check no-terminal/http no_terminal -H tinyproxy-user HTTP_PROXY_USER HTTP_PROXY_PASSWORD
}

# Runs a shell line on a new terminal, as someone sits there who types the answer when the prompt has come.
# The screen ends up in $CASE/screen.
on_terminal() { # PROMPT ANSWER LINE; sets status
    local typist watcher
    mkfifo "$CASE/keys"
    exec {typist}<>"$CASE/keys"
    : >"$CASE/screen"
    printf '$ %s\n' "$3"
    status=0
    timeout -k 5 "$LIMIT" script -qefc "$3" /dev/null <"$CASE/keys" >"$CASE/screen" 2>&1 &
    watcher=$!
    if [ -n "$1" ]; then
        poll 100 grep -Fq -e "$1" "$CASE/screen" || {
            kill "$watcher"
            fail "no prompt '$1' on the terminal, but: $(cat -v "$CASE/screen")"
        }
        printf '%s\n' "$2" >&"$typist"
    fi
    wait "$watcher" || status=$?
    printf 'exit status: %s\n' "$status"
    sed 's/^/screen: /' "$CASE/screen"
}

ask() { # ROUTE PROMPT USERVARIABLE
    local prompt
    route "$1"
    # The format is the prompt's own text.
    # shellcheck disable=SC2059
    printf -v prompt "$2" "$USER_NAME"
    on_terminal "$prompt" "$PLAIN_PASSWORD" "$3=$USER_NAME ssh -F $SSH_CONFIG \
        -o 'ProxyCommand=$CONNECT $VIA %h %p' target 'cat; exit 5' \
        <$WORK/sshd/user.pub >$CASE/out 2>$CASE/err"
    [ "$status" -eq 5 ] || fail "exit status $status, expected the remote command's 5; stderr: $(cat "$CASE/err")"
    same "$WORK/sshd/user.pub" "$CASE/out"
    [ ! -s "$CASE/err" ] || fail "stderr not empty: $(cat "$CASE/err")"
    ! grep -Fq -e "$PLAIN_PASSWORD" "$CASE/screen" || fail "the terminal echoed the password"
    want_log "$SERVER" "$SEEN"
}

# The answer is wrong: an error, and the terminal echoes again afterwards.
ask_wrong() {
    on_terminal "Enter SOCKS5 password for $USER_NAME@127.0.0.1: " "$WRONG_PASSWORD" "SOCKS5_USER=$USER_NAME \
        $CONNECT -S 127.0.0.1:${PORT[microsocks-user]} 127.0.0.1 ${PORT[sshd]} </dev/null >$CASE/out 2>$CASE/err; \
        s=\$?; stty -a; exit \$s"
    want_status 6
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[microsocks-user]}"
    want_secret_kept "$WRONG_PASSWORD"
    ! grep -Fq -e "$WRONG_PASSWORD" "$CASE/screen" || fail "the terminal echoed the password"
    grep -Eq '(^|[^-])\becho\b' "$CASE/screen" || fail "the terminal was left without echo"
}

# A proxy that wants no password: nobody is asked, though there is a terminal.
not_asked() { # ROUTE
    route "$1"
    on_terminal '' '' "ssh -F $SSH_CONFIG -o 'ProxyCommand=$CONNECT $VIA %h %p' target 'echo hi' \
        </dev/null >$CASE/out 2>$CASE/err"
    want_status 0
    want_out hi
    [ ! -s "$CASE/screen" ] || fail "something came to the terminal: $(cat -v "$CASE/screen")"
    want_log "$SERVER" "$SEEN"
}

# A session of its own has no terminal; stdin carries data, so the password is not to be had from there.
no_terminal() { # OPTION SERVER USERVARIABLE PASSWORDVARIABLE
    try env "$3=$USER_NAME" setsid -w "$CONNECT" "$1" "127.0.0.1:${PORT[$2]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 6
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[$2]}" "$4"
}

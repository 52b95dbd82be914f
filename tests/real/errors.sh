# shellcheck shell=bash
# What a user sees when it does not work: the exit status, and one line that names the peer and the cause.

topic_errors() {
    local name
    for name in microsocks-user danted-user tinyproxy-user squid-user; do
        check "wrong-password/$name" wrong_password "$name"
    done
    check wrong-password/ssh wrong_password_ssh
    for name in tinyproxy-user squid-user microsocks-user; do
        check "wrong-user/$name" wrong_user "$name"
    done

    check unreachable-proxy/socks5 unreachable -S
    check unreachable-proxy/socks4 unreachable -4 -S
    check unreachable-proxy/http unreachable -H
    check refused-target/direct refused_direct
    check refused-target/socks5-microsocks refused -S microsocks 'refused'
    check refused-target/socks5-danted refused -S danted 'refused'
    check refused-target/socks4-danted refused4 danted 'reject|refus|failed'
    check refused-target/http-tinyproxy refused -H tinyproxy '\b50[0-9]\b'
    check refused-target/http-squid refused -H squid '\b503\b'
    # ssh -D has no refusal to send: it hangs up before it has answered.
    check refused-target/socks5-ssh-D refused_mutely

    check unknown-name/direct unknown_name
    # microsocks hangs up on a request that is none of its; tinyproxy waits for the end of a line that never comes.
    check http-spoken-to-socks wrong_protocol -H microsocks
    check socks-spoken-to-http silent_proxy -S tinyproxy
}

credentials() { # SERVER USER PASSWORD: sets WITH and VIA
    case $1 in
    tinyproxy-user | squid-user)
        WITH=("HTTP_PROXY_USER=$2" "HTTP_PROXY_PASSWORD=$3")
        VIA=(-H "127.0.0.1:${PORT[$1]}")
        ;;
    *)
        WITH=("SOCKS5_USER=$2" "SOCKS5_PASSWORD=$3")
        VIA=(-S "127.0.0.1:${PORT[$1]}")
        ;;
    esac
}

wrong_password() { # SERVER
    credentials "$1" "$USER_NAME" "$WRONG_PASSWORD"
    try env "${WITH[@]}" "$CONNECT" "${VIA[@]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 6
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[$1]}" 'password|authenticat|credential|407'
    want_secret_kept "$WRONG_PASSWORD"
}

# The same as ssh's user sees it: connect's line comes out on ssh's stderr.
wrong_password_ssh() {
    credentials microsocks-user "$USER_NAME" "$WRONG_PASSWORD"
    try env "${WITH[@]}" ssh -F "$SSH_CONFIG" -o "ProxyCommand=$CONNECT ${VIA[*]} %h %p" target true
    [ "$status" -eq 255 ] || fail "exit status $status, expected ssh's 255"
    want_secret_kept "$WRONG_PASSWORD"
    [ -n "$ORIGINAL" ] || grep -q '^connect: ' "$CASE/err" || fail "connect's own line is missing"
}

wrong_user() { # SERVER
    local right=$PLAIN_PASSWORD
    [ "$1" != squid-user ] || right=$PASSWORD
    credentials "$1" mallory "$right"
    try env "${WITH[@]}" "$CONNECT" "${VIA[@]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 6
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[$1]}"
    want_secret_kept "$right"
}

unreachable() { # OPTION...
    try "$CONNECT" "$@" "127.0.0.1:$CLOSED" 127.0.0.1 "${PORT[sshd]}"
    want_status 4
    want_nothing_out
    want_line "127\.0\.0\.1:$CLOSED" 'refused'
}

refused_direct() {
    try "$CONNECT" -n 127.0.0.1 "$CLOSED"
    want_status 4
    want_nothing_out
    want_line "127\.0\.0\.1:$CLOSED" 'refused'
}

refused() { # OPTION SERVER REGEX
    try "$CONNECT" "$1" "127.0.0.1:${PORT[$2]}" 127.0.0.1 "$CLOSED"
    want_status 5
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[$2]}" "$3"
}

refused4() { # SERVER REGEX
    try "$CONNECT" -4 -S "127.0.0.1:${PORT[$1]}" 127.0.0.1 "$CLOSED"
    want_status 5
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[$1]}" "$2"
}

refused_mutely() {
    open_input
    try "$CONNECT" -S "127.0.0.1:${PORT[ssh-D]}" 127.0.0.1 "$CLOSED" <&"$INPUT"
    want_status 5
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[ssh-D]}" 'closed'
    want_log ssh-D "open failed: connect failed"
}

# Without a network, so that the question does not leave the machine. .invalid is reserved for this (RFC 6761).
unknown_name() {
    local alone=(unshare --net)
    [ "$(id -u)" -eq 0 ] || alone=(unshare --map-root-user --net)
    try "${alone[@]}" "$CONNECT" -n no-such-host.invalid "${PORT[sshd]}"
    want_status 3
    want_nothing_out
    want_line 'no-such-host\.invalid'
}

wrong_protocol() { # OPTION SERVER
    try "$CONNECT" "$1" "127.0.0.1:${PORT[$2]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 5
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[$2]}"
}

silent_proxy() { # OPTION SERVER
    try "$CONNECT" -w 2 "$1" "127.0.0.1:${PORT[$2]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 7
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[$2]}" 'time'
}

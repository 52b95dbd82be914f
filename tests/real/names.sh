# shellcheck shell=bash
# Names, addresses of both families, and proxies written with user and password. Here connect runs without ssh.

topic_names() {
    local name how
    for how in local remote; do
        check "localhost/-R-$how/socks5-ssh-D" resolve "$how" socks5
        check "localhost/-R-$how/socks4-ssh-D" resolve "$how" socks4
        check "localhost/-R-$how/socks5-danted" resolve_danted "$how"
    done
    check localhost/http-squid name_http squid
    check localhost/http-tinyproxy name_http tinyproxy
    check localhost/direct name_direct

    if has_ipv6; then
        check_ours ipv6/direct ipv6 -n
        check_ours ipv6/direct-session ipv6_session
        for name in microsocks danted; do
            check_ours "ipv6/socks5-$name" ipv6 -S "$name" '(::1|0:0:0:0:0:0:0:1)[.:]'"${PORT[sshd]}"
        done
        check_ours ipv6/socks5-ssh-D ipv6 -S ssh-D "dynamic request: socks5 host ::1 port ${PORT[sshd]}"
        for name in tinyproxy squid; do
            check_ours "ipv6/http-$name" ipv6 -H "$name" "CONNECT \[::1\]:${PORT[sshd]} "
        done
        check_ours ipv6/socks4-danted ipv6_socks4
    else
        # Said, not skipped in silence; the machine that releases are tested on has it.
        printf 'n/a  ipv6/* (lo has no ::1 here)\n'
    fi

    check_ours one-word/direct one_word "127.0.0.1:${PORT[sshd]}"
    check_ours user-and-password-in-spec/microsocks spec_socks "$USER_NAME:$PLAIN_PASSWORD@" microsocks-user
    check_ours user-and-password-in-spec/danted spec_socks "$USER_NAME:$PASSWORD@" danted-user
    check_ours user-and-password-in-spec/tinyproxy spec_http "$USER_NAME:$PLAIN_PASSWORD@" tinyproxy-user
    check_ours user-and-password-in-spec/squid spec_http "$USER_NAME:$PASSWORD@" squid-user
    # In a URL what is special is percent-encoded.
    check_ours user-and-password-in-url/squid spec_http "http://$USER_NAME:$(percent "$PASSWORD")@" squid-user
    check user-in-spec/microsocks user_in_spec
}

# Asks the target for its banner by way of the options given.
banner() { # ARGUMENT...
    open_input
    try "$@" <&"$INPUT"
    want_status 0
    want_banner
}

# ssh -D logs what it was sent, so it tells a name from an address.
resolve() { # local|remote VERSION
    local host=localhost
    [ "$1" = remote ] || host='(127\.0\.0\.1|::1)'
    banner "$CONNECT" "-${2#socks}" -R "$1" -S "127.0.0.1:${PORT[ssh-D]}" localhost "${PORT[sshd]}"
    want_log ssh-D "dynamic request: $2 host $host port ${PORT[sshd]}"
}

resolve_danted() { # local|remote
    banner "$CONNECT" -R "$1" -S "127.0.0.1:${PORT[danted]}" localhost "${PORT[sshd]}"
    want_log danted "connect \[: .*\.${PORT[sshd]}$"
}

# An HTTP proxy always gets the name as typed.
name_http() { # SERVER
    banner "$CONNECT" -H "127.0.0.1:${PORT[$1]}" localhost "${PORT[sshd]}"
    want_log "$1" "CONNECT localhost:${PORT[sshd]} "
}

name_direct() {
    banner "$CONNECT" localhost "${PORT[sshd]}"
}

ipv6() { # OPTION [SERVER REGEX]; bare and in brackets
    open_input
    ipv6_banner "$1" "${2:-}" ::1
    # The first session has read the line; this one gets its own.
    printf 'bye\r\n' >&"$INPUT"
    ipv6_banner "$1" "${2:-}" '[::1]'
    [ $# -eq 1 ] || want_log "$2" "$3"
}

ipv6_banner() { # OPTION SERVER HOST
    try "$CONNECT" "$1" ${2:+"127.0.0.1:${PORT[$2]}"} "$3" "${PORT[sshd]}" <&"$INPUT"
    want_status 0
    want_banner
}

# A whole session: ssh gives %h without brackets.
ipv6_session() {
    try ssh -F "$SSH_CONFIG" -o HostName=::1 -o "ProxyCommand=$CONNECT -S 127.0.0.1:${PORT[danted]} %h %p" target 'echo hi'
    want_status 0
    want_out hi
}

# SOCKS4 has no room for such an address: a clear error instead of another target.
ipv6_socks4() {
    try "$CONNECT" -4 -S "127.0.0.1:${PORT[danted]}" ::1 "${PORT[sshd]}"
    [ "$status" -ne 0 ] || fail "exit status 0, expected a failure"
    want_nothing_out
    want_line 'ipv6' 'socks ?4'
}

one_word() { # HOST:PORT
    banner "$CONNECT" "$1"
}

spec_socks() { # USERINFO SERVER
    route "socks5-$2"
    banner "$CONNECT" -S "${1}127.0.0.1:${PORT[$2]}" 127.0.0.1 "${PORT[sshd]}"
    want_log "$SERVER" "$SEEN"
}

spec_http() { # PREFIX SERVER
    route "http-$2"
    banner "$CONNECT" -H "${1}127.0.0.1:${PORT[$2]}" 127.0.0.1 "${PORT[sshd]}"
    want_log "$SERVER" "$SEEN"
}

# user@ comes before the environment's user name; the password then comes from there.
user_in_spec() {
    banner env "SOCKS5_USER=mallory" "SOCKS5_PASSWORD=$PLAIN_PASSWORD" \
        "$CONNECT" -S "$USER_NAME@127.0.0.1:${PORT[microsocks-user]}" 127.0.0.1 "${PORT[sshd]}"
    want_log microsocks-user "connected to 127\.0\.0\.1:${PORT[sshd]}"
}

percent() { # TEXT: everything but letters and digits percent-encoded
    local i char
    for ((i = 0; i < ${#1}; i++)); do
        char=${1:i:1}
        [[ $char == [A-Za-z0-9] ]] || printf -v char '%%%02X' "'$char"
        printf '%s' "$char"
    done
}

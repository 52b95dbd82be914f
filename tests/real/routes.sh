# shellcheck shell=bash
# Every way to the target: ssh with a command, and scp of 50 MB up and down, through each; and ssh with a command once
# more where it is handed the connection and goes on alone.

ROUTES=(direct
    socks5-microsocks socks5-microsocks-user socks5-danted socks5-danted-user socks4-danted
    socks5-ssh-D socks4-ssh-D socks4a-ssh-D
    http-tinyproxy http-tinyproxy-user http-squid http-squid-user)
# There is no socks4a-danted: danted 1.4 takes the 0.0.0.x of a 4a request for an address.
BIG=50000000

# Sets VIA (options of connect), WITH (environment), GOAL (host as typed), and for the proof that the session went
# through the proxy SERVER and SEEN (what its log must show).
route() { # NAME
    local at=127.0.0.1 to=${PORT[sshd]} server=${1#*-}
    WITH=() GOAL=127.0.0.1 SERVER=$server SEEN=
    case $1 in
    direct) VIA='-n' SERVER=sshd ;;
    socks5-*) VIA="-S $at:${PORT[$server]}" ;;
    socks4-*) VIA="-4 -R local -S $at:${PORT[$server]}" GOAL=localhost ;;
    socks4a-*) VIA="-4 -R remote -S $at:${PORT[$server]}" GOAL=localhost ;;
    http-*) VIA="-H $at:${PORT[$server]}" ;;
    esac
    case $1 in
    direct) SEEN="Connection from $at port [0-9]+ on $at port $to" ;;
    *-microsocks*) SEEN="connected to $at:$to" ;;
    *-danted-user) SEEN="connect \[: username%$USER_NAME@.* $at\.$to$" ;;
    *-danted) SEEN="connect \[: .* $at\.$to$" ;;
    socks4-ssh-D) SEEN="dynamic request: socks4 host $at port $to" ;;
    socks4a-ssh-D) SEEN="dynamic request: socks4 host localhost port $to" ;;
    *-ssh-D) SEEN="dynamic request: socks5 host $at port $to" ;;
    *-tinyproxy*) SEEN="Request .*CONNECT $at:$to " ;;
    *-squid-user) SERVER=squid SEEN="TCP_TUNNEL/200 .*CONNECT $at:$to $USER_NAME " ;;
    *-squid) SEEN="TCP_TUNNEL/200 .*CONNECT $at:$to - " ;;
    esac
    case $1 in
    *-microsocks-user | *-danted-user)
        WITH=("SOCKS5_USER=$USER_NAME" "SOCKS5_PASSWORD=$(password_of "$server")")
        ;;
    http-*-user)
        WITH=("HTTP_PROXY_USER=$USER_NAME" "HTTP_PROXY_PASSWORD=$(password_of "$server")")
        ;;
    esac
}

password_of() { # SERVER
    case $1 in
    danted-user | squid-user) echo "$PASSWORD" ;;
    *) echo "$PLAIN_PASSWORD" ;;
    esac
}

# The options that make ssh, scp and sftp take the route.
take() { # ROUTE [OPTION]
    route "$1"
    SSH_VIA=(-F "$SSH_CONFIG" -o "HostName=$GOAL" -o "ProxyCommand=$CONNECT ${2-} $VIA %h %p")
}

topic_routes() {
    local name
    make_big
    for name in "${ROUTES[@]}"; do
        check "ssh/$name" ssh_echo "$name"
        check "scp-up/$name" scp_up "$name"
        check "scp-down/$name" scp_down "$name"
        check_ours "fdpass/$name" ssh_fdpass "$name"
    done
    # Not every server reads on when it has read a greeting; those that lose the rest are told of, not waited for.
    for name in socks5-danted socks5-danted-user socks5-ssh-D; do
        check_ours "eager/$name" ssh_eager "$name"
    done
    check_ours eager/socks5-microsocks microsocks_loses_it
}

make_big() {
    head -c "$BIG" /dev/urandom >"$WORK/up"
    head -c "$BIG" /dev/urandom >"$WORK/down"
}

ssh_echo() { # ROUTE
    take "$1"
    # The remote shell expands it.
    # shellcheck disable=SC2016
    try env "${WITH[@]}" ssh "${SSH_VIA[@]}" target 'echo "hello from $SSH_CONNECTION"; exit 3'
    # 3: the status comes back through the tunnel too, and is none of ours or of ssh's.
    [ "$status" -eq 3 ] || fail "exit status $status, expected the remote command's 3"
    grep -q "^hello from .* ${PORT[sshd]}\$" "$CASE/out" || fail "stdout: $(head -c 200 "$CASE/out")"
    want_log "$SERVER" "$SEEN"
}

# ssh goes on only when the program has left. One byte more or less read from the proxy, and there is no session.
ssh_fdpass() { # ROUTE
    take "$1" -F
    try env "${WITH[@]}" ssh "${SSH_VIA[@]}" -o ProxyUseFdpass=yes target 'cat; exit 3' <"$WORK/up"
    [ "$status" -eq 3 ] || fail "exit status $status, expected the remote command's 3"
    same "$WORK/up" "$CASE/out"
    want_log "$SERVER" "$SEEN"
}

ssh_eager() { # ROUTE
    take "$1" --eager
    try env "${WITH[@]}" ssh "${SSH_VIA[@]}" target 'echo hello'
    want_status 0
    want_out hello
    want_log "$SERVER" "$SEEN"
}

# Once it keeps it, the README can say so.
microsocks_loses_it() {
    try "$CONNECT" --eager -w 2 -S "127.0.0.1:${PORT[microsocks]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 7
    want_line 'the answer to the SOCKS5 request, which --eager sends early'
}

scp_up() { # ROUTE
    take "$1"
    try env "${WITH[@]}" scp -q "${SSH_VIA[@]}" "$WORK/up" "target:$CASE/copy"
    want_status 0
    same "$WORK/up" "$CASE/copy"
    rm "$CASE/copy"
    want_log "$SERVER" "$SEEN"
}

scp_down() { # ROUTE
    take "$1"
    try env "${WITH[@]}" scp -q "${SSH_VIA[@]}" "target:$WORK/down" "$CASE/copy"
    want_status 0
    same "$WORK/down" "$CASE/copy"
    rm "$CASE/copy"
    want_log "$SERVER" "$SEEN"
}

# shellcheck shell=bash
# Chains of real proxies, and what is tried when one of them does not lead to the target. The proxies come from the
# environment: ssh would take a percent sign in its ProxyCommand for its own.

topic_chains() {
    [ -e "$WORK/up" ] || make_big
    check_ours chain/ssh chain_ssh
    check_ours chain/scp-up chain_scp
    check_ours chain/fdpass chain_fdpass
    check_ours chain/eager chain_eager
    check_ours chain/wrong-password-names-the-hop chain_wrong_password
    check_ours chain/unreachable-next-hop-names-both chain_unreachable
    check_ours else/next-route-works else_works
    check_ours else/none-works else_none
    check_ours auto/usual-variables auto_usual
    check_ours check/chain check_chain
}

# Three proxies, each with a password of its own.
take_chain() { # [OPTION]
    local secret='S3cret%20p%40ss%3Aw0rd%25'
    [ "$PASSWORD" = 'S3cret p@ss:w0rd%' ] || die "the password in chains.sh is not that of servers.sh"
    CHAIN=socks5h://$USER_NAME:$PLAIN_PASSWORD@127.0.0.1:${PORT[microsocks-user]}
    CHAIN+=,http://$USER_NAME:$PLAIN_PASSWORD@127.0.0.1:${PORT[tinyproxy-user]}
    CHAIN+=,http://$USER_NAME:$secret@127.0.0.1:${PORT[squid-user]}
    WITH=("CONNECT_PROXY=$CHAIN")
    SSH_VIA=(-F "$SSH_CONFIG" -o "ProxyCommand=$CONNECT ${1-} -A %h %p")
}

# Each proxy has seen the next one, and the last one the target.
want_chain() {
    want_log microsocks-user "connected to 127.0.0.1:${PORT[tinyproxy-user]}"
    want_log tinyproxy-user "Request .*CONNECT 127.0.0.1:${PORT[squid-user]} "
    want_log squid "TCP_TUNNEL/200 .*CONNECT 127.0.0.1:${PORT[sshd]} $USER_NAME "
}

chain_ssh() {
    take_chain
    try env "${WITH[@]}" ssh "${SSH_VIA[@]}" target 'echo hello; exit 3'
    want_status 3
    want_out hello
    want_chain
}

chain_scp() {
    take_chain
    try env "${WITH[@]}" scp -q "${SSH_VIA[@]}" "$WORK/up" "target:$CASE/copy"
    want_status 0
    same "$WORK/up" "$CASE/copy"
    rm "$CASE/copy"
    want_chain
}

chain_fdpass() {
    take_chain -F
    try env "${WITH[@]}" ssh "${SSH_VIA[@]}" -o ProxyUseFdpass=yes target 'cat; exit 3' <"$WORK/up"
    want_status 3
    same "$WORK/up" "$CASE/out"
    want_chain
}

# danted keeps what comes with the greeting. The HTTP proxy is asked in its turn.
chain_eager() {
    WITH=("CONNECT_PROXY=socks5h://127.0.0.1:${PORT[danted]},http://127.0.0.1:${PORT[tinyproxy]}")
    SSH_VIA=(-F "$SSH_CONFIG" -o "ProxyCommand=$CONNECT --eager -A %h %p")
    try env "${WITH[@]}" ssh "${SSH_VIA[@]}" target 'echo hello'
    want_status 0
    want_out hello
    want_log tinyproxy "Request .*CONNECT 127.0.0.1:${PORT[sshd]} "
}

chain_wrong_password() {
    local chain=socks5://127.0.0.1:${PORT[microsocks]},http://$USER_NAME:$WRONG_PASSWORD@127.0.0.1:${PORT[squid-user]}
    try "$CONNECT" -x "$chain" 127.0.0.1 "${PORT[sshd]}"
    want_status 6
    want_line "HTTP proxy 127.0.0.1:${PORT[squid-user]} \(hop 2 of 2\)" "$USER_NAME"
    want_secret_kept "$WRONG_PASSWORD"
}

chain_unreachable() {
    local chain=http://127.0.0.1:${PORT[tinyproxy]},socks5://127.0.0.1:$CLOSED
    try "$CONNECT" -x "$chain" 127.0.0.1 "${PORT[sshd]}"
    want_status 5
    want_line "HTTP proxy 127.0.0.1:${PORT[tinyproxy]} \(hop 1 of 2\) refused 127.0.0.1:$CLOSED"
}

else_works() {
    local first=socks5://127.0.0.1:$CLOSED second=http://$USER_NAME:$WRONG_PASSWORD@127.0.0.1:${PORT[squid-user]}
    WITH=("CONNECT_PROXY=$first | $second | socks5://127.0.0.1:${PORT[microsocks]}")
    SSH_VIA=(-F "$SSH_CONFIG" -o "ProxyCommand=$CONNECT -A %h %p")
    try env "${WITH[@]}" ssh "${SSH_VIA[@]}" target 'echo hello'
    want_status 0
    want_out hello
    want_log microsocks "connected to 127.0.0.1:${PORT[sshd]}"
}

else_none() {
    try "$CONNECT" -x "socks5://127.0.0.1:$CLOSED|http://127.0.0.1:$CLOSED" 127.0.0.1 "${PORT[sshd]}"
    want_status 4
    want_line "no way to 127.0.0.1:${PORT[sshd]}: 1\. .*SOCKS5 proxy .*; 2\. .*HTTP proxy "
}

auto_usual() {
    SSH_VIA=(-F "$SSH_CONFIG" -o "ProxyCommand=$CONNECT -A %h %p")
    try env "https_proxy=http://127.0.0.1:${PORT[tinyproxy]}/" ssh "${SSH_VIA[@]}" target 'echo hello'
    want_status 0
    want_out hello
    want_log tinyproxy "Request .*CONNECT 127.0.0.1:${PORT[sshd]} "
}

check_chain() {
    take_chain
    try env "${WITH[@]}" "$CONNECT" --check -A 127.0.0.1 "${PORT[sshd]}"
    want_status 0
    [ "$(grep -c '✓ .* opened the tunnel' "$CASE/out")" -eq 3 ] || fail "not three hops: $(cat "$CASE/out")"
    grep -q '✓ .*says: SSH-2.0-OpenSSH' "$CASE/out" || fail "no greeting: $(cat "$CASE/out")"
    ! grep -Eq "$PLAIN_PASSWORD|S3cret%20|p@ss" "$CASE/out" "$CASE/err" || fail "a password is shown"
}

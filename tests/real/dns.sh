# shellcheck shell=bash
# Names that dnsmasq resolves: -R with its address. It knows the names under real.test, refuses all others, and asks nobody.

topic_dns() {
    [ -z "$ORIGINAL" ] || return 0 # it takes such an address and asks the system's name server
    if ! wanted_any; then return 0; fi
    serve dnsmasq setup_dnsmasq dnsmasq
    AT=127.0.0.1:${PORT[dnsmasq]}

    check dns/direct dns_direct "$AT"
    if has_ipv6; then
        check dns/direct-over-ipv6 dns_direct "[::1]:${PORT[dnsmasq]}"
        check dns/ipv6-target dns_ipv6_target
    else
        printf 'n/a  dns/*ipv6* (lo has no ::1 here)\n'
    fi
    check dns/socks5-ssh-D dns_socks 5
    check dns/socks4-ssh-D dns_socks 4
    check dns/ssh-session dns_session
    check dns/large-answer-by-tcp dns_large
    check dns/alias dns_alias
    check dns/search-list dns_search
    check dns/hosts-file-has-no-say dns_hosts_file
    check dns/no-such-name dns_fails 'no-such-host\.real\.test' 'no such host'
    check dns/refused dns_fails 'host\.elsewhere\.test' 'REFUSED'
    check dns/no-address dns_fails 'only-text\.real\.test' 'no address for this name'
    check dns/silent dns_silent
    check dns/nobody-listens dns_nobody
    stop dnsmasq
}

# dnsmasq need not start for the sake of other topics.
wanted_any() {
    [ -z "$ONLY" ] || [ "$ONLY" = "$TOPIC" ] || [[ $ONLY == dns/* ]]
}

setup_dnsmasq() { # PORT
    local i listen=127.0.0.1
    ! has_ipv6 || listen+=,::1
    for ((i = 1; i <= 60; i++)); do
        echo "127.0.1.$i many.real.test"
    done >"$WORK/many"
    echo "127.0.0.1 many.real.test" >>"$WORK/many"
    CMD=(dnsmasq --no-daemon --conf-file=/dev/null --pid-file= --user="$(id -un)" --no-resolv --no-hosts
        --port="$1" --listen-address="$listen" --bind-interfaces --log-queries --log-facility=-
        --local=/real.test/ "--host-record=host.real.test,127.0.0.1" "--host-record=six.real.test,::1"
        "--cname=alias.real.test,host.real.test" "--txt-record=only-text.real.test,text" --addn-hosts="$WORK/many")
}

dns_direct() { # NAME-SERVER
    banner "$CONNECT" -R "$1" host.real.test "${PORT[sshd]}"
    want_log dnsmasq 'query\[A\] host\.real\.test from '
    want_log dnsmasq 'query\[AAAA\] host\.real\.test from '
}

dns_ipv6_target() {
    banner "$CONNECT" -R "$AT" six.real.test "${PORT[sshd]}"
}

# ssh -D logs what it was sent: the address.
dns_socks() { # VERSION
    banner "$CONNECT" "-$1" -R "$AT" -S "127.0.0.1:${PORT[ssh-D]}" host.real.test "${PORT[sshd]}"
    want_log ssh-D "dynamic request: socks$1 host 127\.0\.0\.1 port ${PORT[sshd]}"
}

dns_session() {
    try ssh -F "$SSH_CONFIG" -o HostName=host.real.test -o "ProxyCommand=$CONNECT -R $AT %h %p" target 'echo hi'
    want_status 0
    want_out hi
}

# 61 addresses do not fit into 512 bytes.
dns_large() {
    banner "$CONNECT" -d -R "$AT" many.real.test "${PORT[sshd]}"
    grep -q 'asking by TCP' "$CASE/err" || fail "the answer did not come by TCP"
    [ "$(grep -c 'DEBUG: resolved: ' "$CASE/err")" -eq 61 ] || fail "not all 61 addresses were found"
}

dns_alias() {
    banner "$CONNECT" -R "$AT" alias.real.test "${PORT[sshd]}"
}

# Runs connect where a file of ours stands in the place of one in /etc.
with_file() { # FILE PLACE ARGUMENT...
    local own=(unshare --mount)
    [ "$(id -u)" -eq 0 ] || own=(unshare --map-root-user --mount)
    # The quotes are for the inner shell.
    # shellcheck disable=SC2016
    OWN=("${own[@]}" sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$@")
}

dns_search() {
    printf 'search elsewhere.test real.test\nnameserver 127.0.0.99\n' >"$CASE/resolv.conf"
    with_file "$CASE/resolv.conf" /etc/resolv.conf "$CONNECT" -R "$AT" host "${PORT[sshd]}"
    banner "${OWN[@]}"
    want_log dnsmasq 'query\[A\] host\.elsewhere\.test from '
    want_log dnsmasq 'query\[A\] host\.real\.test from '
}

dns_hosts_file() {
    echo '127.0.0.1 listed.real.test' >"$CASE/hosts"
    with_file "$CASE/hosts" /etc/hosts "$CONNECT" listed.real.test "${PORT[sshd]}"
    banner "${OWN[@]}"
    with_file "$CASE/hosts" /etc/hosts "$CONNECT" -R "$AT" listed.real.test. "${PORT[sshd]}"
    try "${OWN[@]}"
    want_status 3
    want_line 'no such host'
}

dns_fails() { # NAME-REGEX REGEX
    try "$CONNECT" -R "$AT" "${1//\\/}" "${PORT[sshd]}"
    want_status 3
    want_nothing_out
    want_line "$1:${PORT[sshd]}" "name server $AT .*$2"
}

dns_silent() {
    kill -STOP "${PID[dnsmasq]}"
    try "$CONNECT" -w 1 -R "$AT" host.real.test "${PORT[sshd]}"
    kill -CONT "${PID[dnsmasq]}"
    want_status 7
    want_nothing_out
    want_line 'timed out after 1 second' "name server $AT"
}

dns_nobody() {
    try "$CONNECT" -R "127.0.0.1:$CLOSED" host.real.test "${PORT[sshd]}"
    want_status 3
    want_nothing_out
    want_line "name server 127\.0\.0\.1:$CLOSED did not answer" 'refused'
}

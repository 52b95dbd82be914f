# shellcheck shell=bash
# What is said to HTTP proxies: Digest with squid's own helper, headers, HTTP/1.0. And what HAProxy is told of whom a
# session is for.

topic_http() {
    check_ours digest/known digest_known
    check_ours digest/only digest_only
    check_ours digest/asked digest_asked
    check_ours digest/ssh digest_ssh
    check_ours digest/wrong-password digest_wrong_password
    check_ours digest/not-allowed digest_not_allowed
    check_ours headers/squid headers_squid
    check_ours http1.0/squid http_1_0 squid
    check_ours http1.0/tinyproxy http_1_0 tinyproxy
    local version
    for version in v1 v2; do
        check_ours "proxy-protocol/direct-$version" announced_directly "$version"
        check_ours "proxy-protocol/listen-$version" announced_client "$version"
        check_ours "proxy-protocol/through-$version" announced_through_a_proxy "$version"
    done
    check_ours proxy-protocol/missing announced_by_nobody
}

# Runs connect for sshd's greeting, which comes only while somebody may still say something.
greeted() { # COMMAND...
    open_input
    try "$@" <&"$INPUT"
    want_status 0
    want_banner
}

# This squid takes no password by Basic, though it offers it.
digest_known() {
    greeted env HTTP_PROXY_USER="$USER_NAME" HTTP_PROXY_PASSWORD="$PASSWORD" \
        "$CONNECT" -d -H "127.0.0.1:${PORT[squid-digest]}" 127.0.0.1 "${PORT[sshd]}"
    want_secret_kept "$PASSWORD"
    grep -q 'Basic was not accepted: trying Digest (MD5)' "$CASE/err" || fail "Basic was not refused first"
    want_log squid-digest "TCP_TUNNEL/200 CONNECT 127\.0\.0\.1:${PORT[sshd]} $USER_NAME "
}

digest_only() {
    greeted env HTTP_PROXY_USER="$USER_NAME" HTTP_PROXY_PASSWORD="$PASSWORD" \
        "$CONNECT" -d -a digest -H "127.0.0.1:${PORT[squid-digest]}" 127.0.0.1 "${PORT[sshd]}"
    ! grep -q 'Authorization: Basic' "$CASE/err" || fail "Basic was sent"
    want_log squid-digest "TCP_TUNNEL/200 CONNECT 127\.0\.0\.1:${PORT[sshd]} $USER_NAME "
}

digest_asked() {
    # The askpass program's own shell expands it.
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "$1" >>%q\necho %q\n' "$CASE/asked" "$PASSWORD" >"$CASE/askpass"
    chmod +x "$CASE/askpass"
    greeted env SSH_ASKPASS="$CASE/askpass" DISPLAY=:0 \
        "$CONNECT" -H "$USER_NAME@127.0.0.1:${PORT[squid-digest]}" 127.0.0.1 "${PORT[sshd]}"
    [ "$(wc -l <"$CASE/asked")" -eq 1 ] || fail "asked more than once: $(cat "$CASE/asked")"
}

digest_ssh() {
    try env HTTP_PROXY_USER="$USER_NAME" HTTP_PROXY_PASSWORD="$PASSWORD" ssh -F "$SSH_CONFIG" \
        -o "ProxyCommand=$CONNECT -a digest -H 127.0.0.1:${PORT[squid-digest]} %h %p" target 'echo hello'
    want_status 0
    want_out hello
}

digest_wrong_password() {
    try env HTTP_PROXY_USER="$USER_NAME" HTTP_PROXY_PASSWORD="$WRONG_PASSWORD" \
        "$CONNECT" -H "127.0.0.1:${PORT[squid-digest]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 6
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[squid-digest]}" "$USER_NAME" 407
    want_secret_kept "$WRONG_PASSWORD"
}

# A proxy that knows Basic only gets no password from who forbids that.
digest_not_allowed() {
    try env HTTP_PROXY_USER="$USER_NAME" HTTP_PROXY_PASSWORD="$PLAIN_PASSWORD" \
        "$CONNECT" -a digest -H "127.0.0.1:${PORT[tinyproxy-user]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 6
    want_nothing_out
    want_line "127\.0\.0\.1:${PORT[tinyproxy-user]}" 'Basic \(-a does not allow it\)'
}

headers_squid() {
    greeted env HTTP_PROXY_USER="$USER_NAME" HTTP_PROXY_PASSWORD="$PASSWORD" "$CONNECT" -a digest \
        --header 'X-Probe: a b' --user-agent 'probe/1' \
        -H "127.0.0.1:${PORT[squid-digest]}" 127.0.0.1 "${PORT[sshd]}"
    want_log squid-digest "TCP_TUNNEL/200 .* 1\.1 probe/1 a%20b$"
}

http_1_0() { # SERVER
    greeted "$CONNECT" -d --http1.0 -H "127.0.0.1:${PORT[$1]}" 127.0.0.1 "${PORT[sshd]}"
    grep -q 'CONNECT .* HTTP/1\.0' "$CASE/err" || fail "HTTP/1.0 was not spoken"
}

announced_directly() { # VERSION
    greeted "$CONNECT" --proxy-protocol "$1" 127.0.0.1 "${PORT[haproxy]}"
    want_log haproxy "^127\.0\.0\.1:[0-9]+ to 127\.0\.0\.1:${PORT[haproxy]}$"
}

# Addresses that HAProxy cannot have from anywhere else: it is connected to through a proxy.
announced_client() { # VERSION
    free_port
    local at=$FREE listener
    "$CONNECT" --proxy-protocol "$1" --listen "127.0.0.2:$at" -S "127.0.0.1:${PORT[microsocks]}" \
        127.0.0.1 "${PORT[haproxy]}" &
    listener=$!
    poll 50 listens "$at" || fail "it does not listen"
    try ssh -F "$SSH_CONFIG" -b 127.0.0.3 -o HostName=127.0.0.2 -p "$at" target 'echo hello'
    kill "$listener"
    want_status 0
    want_out hello
    want_log haproxy "^127\.0\.0\.3:[0-9]+ to 127\.0\.0\.2:$at$"
}

listens() { [ -n "$(ss -Htln "sport = :$1")" ]; }

announced_through_a_proxy() { # VERSION
    greeted "$CONNECT" --proxy-protocol "$1" -S "127.0.0.1:${PORT[microsocks]}" 127.0.0.1 "${PORT[haproxy]}"
}

# HAProxy insists on it: without a header there is no session, so that the others were sent one.
announced_by_nobody() {
    open_input
    try "$CONNECT" -w 5 --idle-timeout 5 127.0.0.1 "${PORT[haproxy]}" <&"$INPUT"
    ! grep -aq '^SSH-2\.0-' "$CASE/out" || fail "a session without a header"
}

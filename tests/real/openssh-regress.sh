# shellcheck shell=bash
# OpenSSH's own regression tests (Debian package openssh-tests, its files unmodified), pointed at our binary:
# dynamic-forward has its SOCKS client replaced by ours, the others get ours as ProxyCommand through microsocks.
#
# They use fixed ports and sleep a lot, so each group runs in a network name space of its own, with its own copy,
# beside the rest of the suite. Left out of OpenSSH's list: everything that never opens a connection (keys,
# configuration parsing), what replaces ProxyCommand by its own in every run (proxy-connect, cfgmatch), and rekey and
# try-ciphers, which put hundreds of short sessions through for minutes and would only test OpenSSH's ciphers.

# NAME MINIMUM: fewer runs of our binary than this, and the test did not test it.
REGRESS_GROUPS=(
    'dynamic-forward:16 connect:1 forwarding:15 connect-uri:2'
    'multiplex:6'
    'exit-status:10 transfer:8 stderr-after-eof:1 yes-head:1'
)
declare -a REGRESS_PIDS=()
# Its own process numbers too: the tests leave daemons behind when they are interrupted, and this ends them all.
REGRESS_SPACE=(unshare --net --pid --mount-proc --fork --kill-child)

begin_openssh_regress() {
    local group
    REGRESS_BROKEN=''
    regress_wanted || return 0
    if [ "$(id -u)" -ne 0 ]; then
        REGRESS_BROKEN="OpenSSH's own tests start sshd with PAM: they need root"
    elif ! "${REGRESS_SPACE[@]}" true 2>"$WORK/unshare"; then
        REGRESS_BROKEN="OpenSSH's own tests need name spaces of their own (${REGRESS_SPACE[*]}): $(cat "$WORK/unshare")"
    fi
    [ -z "$REGRESS_BROKEN" ] || return 0
    mkdir -p /run/sshd
    for group in "${!REGRESS_GROUPS[@]}"; do
        setsid "${REGRESS_SPACE[@]}" "$BASH" "$HERE/openssh-regress-group" "$WORK/regress-$group" "$HERE/netcat-shim" "$CONNECT" \
            "${REGRESS_GROUPS[group]}" >"$WORK/log/regress-$group" 2>&1 </dev/null &
        PID["regress-$group"]=$!
        REGRESS_PIDS[group]=$!
    done
}

regress_wanted() {
    local test TOPIC=openssh-regress
    for test in $(printf "%s " "${REGRESS_GROUPS[@]}"); do
        ! wanted "openssh/${test%:*}" || return 0
    done
    return 1
}

topic_openssh_regress() {
    local group test
    for group in "${!REGRESS_GROUPS[@]}"; do
        # The order of the groups is that of the results; all of them have been running for a while.
        [ -z "${REGRESS_PIDS[group]:-}" ] || wait "${REGRESS_PIDS[group]}"
        unset "PID[regress-$group]"
        for test in ${REGRESS_GROUPS[group]}; do
            check "openssh/${test%:*}" regress_result "$WORK/regress-$group" "${test%:*}"
        done
    done
}

regress_result() { # FOLDER TEST
    [ -z "$REGRESS_BROKEN" ] || fail "$REGRESS_BROKEN"
    tail -n 25 "$1/$2.out"
    [ -f "$1/$2.result" ] || fail "it was never run; the group's log: $(tail -n 5 "$WORK/log/${1##*/}")"
    [ "$(cat "$1/$2.result")" = ok ] || fail "$(cat "$1/$2.result")"
}

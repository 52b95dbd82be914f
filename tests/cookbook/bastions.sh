# shellcheck shell=bash
# Checks of bastion.md and tunnels.md: SSH servers as hops.

all_bastions() {
    check bastion/ssh bastion_ssh
    check bastion/mail bastion_mail
    check bastion/chain bastion_chain
    check bastion/listen bastion_listen
    check bastion/check bastion_check
    check tunnels/unit tunnels_unit
    check tunnels/gone tunnels_gone
}

bastion_ssh() {
    home bastion bastion
    know_hosts
    play bastion bastion-use
    want_status 0
    grep -q '^I am in, from ' "$CASE/out" || fail "no login: $(cat "$CASE/out")"
    want_log sshd "on ${ADDRESS[mailhost.example.net]} port 22"
    want_log sshd "on ${ADDRESS[build.internal.example]} port 22"
}

# Writes the user's known_hosts.
know_hosts() {
    install -d -o 4242 -g 4242 -m 700 /home/alice/.ssh
    printf '* %s\n' "$(cat "$WORK/sshd/host.pub")" >/home/alice/.ssh/known_hosts
    chown 4242:4242 /home/alice/.ssh/known_hosts
}

bastion_mail() {
    home
    know_hosts
    play_typing bastion bastion-mail 'QUIT\r\n'
    want_pop3
    want_log sshd "on ${ADDRESS[mailhost.example.net]} port 22"
}

# The bastion sees the proxy, and the target sees the bastion.
bastion_chain() {
    home
    know_hosts
    play_typing bastion bastion-chain 'QUIT\r\n'
    want_pop3
    want_log socks "connected to ${ADDRESS[mailhost.example.net]}:22"
    want_log sshd "Connection from ${ADDRESS[socks.corp.example]} .* on ${ADDRESS[mailhost.example.net]} port 22"
}

bastion_listen() {
    home
    know_hosts
    play_on bastion bastion-listen
    want_listening 127.0.0.1:1110
    play_typing bastion bastion-listen-use 'QUIT\r\n'
    want_pop3
    end_job
}

bastion_check() {
    home
    know_hosts
    play bastion bastion-check
    want_status 0
    grep -q 'host key ED25519 SHA256:.*: known (/home/alice/.ssh/known_hosts:1)' "$CASE/out" || fail "no host key: $(cat "$CASE/out")"
    grep -q 'the server accepts .*publickey' "$CASE/out" || fail "no methods: $(cat "$CASE/out")"
    grep -q 'user alice accepted: publickey (ED25519 SHA256:' "$CASE/out" || fail "no key: $(cat "$CASE/out")"
}

# systemd does not run here, so start the service's command.
tunnels_unit() {
    local command
    home
    know_hosts
    systemd_verify tunnels mail-tunnel.service:service
    read -ra command < <(unit_setting tunnels service ExecStart | sed 's|%h|/home/alice|g')
    "${AS[@]}" "${command[@]}" 2>"$CASE/connect.err" &
    JOB=$!
    want_listening 127.0.0.1:1110
    play_typing tunnels use 'QUIT\r\n'
    want_pop3
    # Break the connection to the bastion. The next client gets another one.
    pkill -KILL -u alice -x sshd || true
    play_typing tunnels use 'QUIT\r\n'
    want_pop3
    end_job
}

# A client whose bastion cannot be reached is disconnected, and the listener goes on.
tunnels_gone() {
    local command
    home
    read -ra command < <(unit_setting tunnels service ExecStart | sed 's|%h|/home/alice|g')
    "${AS[@]}" "${command[@]}" 2>"$CASE/connect.err" &
    JOB=$!
    want_listening 127.0.0.1:1110
    play_typing tunnels use 'QUIT\r\n'
    [ ! -s "$CASE/out" ] || fail "a server without a known key was used: $(cat "$CASE/out")"
    poll 100 grep -q 'unknown host key of SSH server mailhost.example.net:22' "$CASE/connect.err" || fail "no message: $(cat "$CASE/connect.err")"
    know_hosts
    play_typing tunnels use 'QUIT\r\n'
    want_pop3
    end_job
}

# shellcheck shell=bash
# Checks of README.md, bastion.md, tunnels.md and copying.md: SSH servers as hops and for copies.

all_bastions() {
    check readme/ssh readme_ssh
    check readme/put copying_put ../../README put
    check readme/listen bastion_listen ../../README listen
    check bastion/ssh bastion_ssh
    check bastion/mail bastion_mail
    check bastion/chain bastion_chain
    check bastion/listen bastion_listen bastion bastion-listen
    check bastion/check bastion_check
    check tunnels/unit tunnels_unit
    check tunnels/gone tunnels_gone
    check copying/put copying_put copying put
    check copying/proxy copying_put copying proxy
    check copying/pin copying_pin
    check copying/get copying_get
    check copying/stream copying_stream
}

readme_ssh() {
    home
    know_hosts
    play ../../README ssh
    want_status 0
    grep -q 'load average' "$CASE/out" || fail "not the output of uptime: $(cat "$CASE/out")"
    want_log socks "connected to mailhost.example.net:22"
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

bastion_listen() { # PAGE NAME
    home
    know_hosts
    play_on "$1" "$2"
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
    # Break the connection to the bastion. Its process is the newest one of alice, because the SOCKS4
    # proxy has an older one. The next client causes a new login.
    local logins
    logins=$(logins)
    pkill -KILL -n -u alice -x sshd || fail "no process of the connection to the bastion"
    play_typing tunnels use 'QUIT\r\n'
    want_pop3
    [ "$(logins)" -gt "$logins" ] || fail "the second client used the broken connection"
    end_job
}

# Prints the number of logins of alice since the check began.
logins() { news sshd | grep -c 'Accepted publickey for alice'; }

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

# Makes files to copy. The servers have the same home directory.
files_to_copy() {
    home
    alice sh -eu -c '
        cd
        mkdir -p incoming site/images
        seq 100000 >results.tar.gz
        seq 1000 >site/index.html
        : >"site/images/a b"
        chmod 640 site/index.html
        touch -d 2001-02-03T04:05:06Z site/index.html'
}

copying_put() { # PAGE NAME
    files_to_copy
    know_hosts
    play "$1" "$2"
    want_results
    [ "$2" = put ] || want_log socks "connected to mailhost.example.net:22"
}

want_results() {
    want_status 0
    cmp /home/alice/results.tar.gz /home/alice/incoming/results.tar.gz || fail "a different copy"
    [ "$(find /home/alice/incoming -mindepth 1 | wc -l)" -eq 1 ] || fail "more than the copy: $(ls -A /home/alice/incoming)"
}

copying_pin() {
    files_to_copy
    alice mv /home/alice/.ssh/id_ed25519 /home/alice/deploy-key
    AS+=("HOST_KEY=$(ssh-keygen -lf "$WORK/sshd/host.pub" | cut -d' ' -f2)")
    play copying pin
    want_results
    [ ! -e /home/alice/.ssh/known_hosts ] || fail "known_hosts was written"
}

copying_get() {
    files_to_copy
    know_hosts
    play copying get
    want_status 0
    diff -r /home/alice/site /home/alice/backup || fail "a different copy"
    [ "$(stat -c '%a %Y' /home/alice/backup/index.html)" = '640 981173106' ] || fail "other times and modes"
}

copying_stream() {
    files_to_copy
    know_hosts
    play copying stream
    want_status 0
    grep -qx 'site/images/a b' "$CASE/out" || fail "no such file: $(cat "$CASE/out")"
}

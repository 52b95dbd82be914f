# shellcheck shell=bash
# Checks for programs that start connect or that connect starts: further OpenSSH features, other ssh
# clients, git://, rsync, mutt, Ansible, socat, systemd and inetd.

# Expects the SOCKS proxy to have received this many requests for shell.example.org.
want_asked() { # TIMES
    local times target=${ADDRESS[shell.example.org]}
    times=$(news socks | grep -Ec "connected to (shell\.example\.org|$target):22")
    [ "$times" -eq "$1" ] || fail "the proxy received $times requests, expected $1"
}

# Stops the background job and its children.
end_job() {
    pkill -TERM -P "$JOB"
    kill -TERM "$JOB" 2>/dev/null
    poll 100 ended || fail "the job ignores SIGTERM"
}

# ---- OpenSSH ---------------------------------------------------------------------------------------------------

openssh() {
    home openssh ssh
    head -c 300000 /dev/urandom >/home/alice/report.txt
    chown alice: /home/alice/report.txt
    play openssh files
    want_status 0
    same /home/alice/report.txt /home/alice/copy.txt
    same /home/alice/report.txt /home/alice/back.txt
    grep -q "^I come from ${ADDRESS[socks.corp.example]} " "$CASE/out" || fail "the proxy was not used: $(cat "$CASE/out")"
    want_asked 1
    play openssh exit
    want_status 0
    poll 100 no_connect || fail "connect runs on after the shared connection has closed"
}

no_connect() { ! pgrep -u alice -x connect >/dev/null; }

# Expects a connection through the proxy and, once this machine can resolve the target's name, a
# direct one.
openssh_match() {
    home openssh match
    play openssh match-use
    want_status 0
    want_from socks.corp.example
    cp "$WORK/beyond" /etc/hosts
    play openssh match-use
    want_status 0
    want_asked 1
    grep -q '^I come from ' "$CASE/out" || fail "not reached: $(cat "$CASE/out")"
    ! grep -Fq " ${ADDRESS[socks.corp.example]} " "$CASE/out" || fail "reached through the proxy"
}

# ---- other clients ---------------------------------------------------------------------------------------------

# Converts the user's key to PuTTY's format, and puts it and the server's host key in PuTTY's
# default settings.
putty() {
    home
    alice mkdir -p .putty/sessions
    alice puttygen .ssh/id_ed25519 -o key.ppk || fail "cannot convert the key for PuTTY"
    printf '%s\n' PublicKeyFile=/home/alice/key.ppk \
        "SSHManualHostKeys=$(ssh-keygen -lf "$WORK/sshd/host.pub" | cut -d' ' -f2)" >/home/alice/.putty/sessions/Default%20Settings
    play other-ssh plink
    want_status 0
    want_from socks.corp.example
}

# Makes shell.example.org the only known host.
know_shell() {
    echo "shell.example.org $(cat "$WORK/sshd/host.pub")" >/home/alice/.ssh/known_hosts
    echo 'GlobalKnownHostsFile none' >/home/alice/.ssh/config
    chown alice: /home/alice/.ssh/*
}

dropbear() {
    home
    know_shell
    alice dropbearconvert openssh dropbear .ssh/id_ed25519 .ssh/id_dropbear || fail "cannot convert the key for Dropbear"
    play other-ssh dbclient
    want_status 0
    want_from socks.corp.example
    MODE=755 put other-ssh script bin/dbclient-proxied
    try "${AS[@]}" bin/dbclient-proxied shell.example.org "$ASK"
    want_status 0
    want_from socks.corp.example
    want_asked 2
}

editors() {
    home editors ssh
    play editors ssh-use
    want_status 0
    want_from socks.corp.example
}

editors_port() {
    home
    know_shell
    play_on editors port
    want_listening 127.0.0.1:2222
    play editors port-use
    want_status 0
    want_from socks.corp.example
    end_job
}

# ---- git://, rsync, mutt, Ansible ------------------------------------------------------------------------------

git_proxy() {
    home
    MODE=755 put git proxy-script bin/git-proxy
    play git proxy-once
    want_status 0
    same_project project
    want_log socks "connected to (git\.example\.org|${ADDRESS[git.example.org]}):9418"
    play git proxy-config
    want_status 0
    same_project again
}

rsync_ssh() {
    home
    alice mkdir report
    head -c 300000 /dev/urandom >/home/alice/report/file
    play rsync ssh
    want_status 0
    same /home/alice/report/file /home/alice/copy/report/file
    want_asked 1
}

rsync_server() {
    home
    play rsync server
    want_status 0
    same "$WORK/pub/file" /home/alice/pub/file
    want_log socks "connected to (files\.example\.org|${ADDRESS[files.example.org]}):873"
}

msmtp_sends() {
    home
    put mail msmtprc .msmtprc
    play_on mail listen
    poll 100 test -S /home/alice/smtp.sock || fail "no socket: $(cat "$CASE"/*.err)"
    # msmtp must fail until the machine trusts the certificate, to prove that msmtp verifies it.
    play mail msmtp
    want_status 69
    want_err 'certificate'
    cat "$WORK/etc/pop3s.pem" >>/etc/ssl/certs/ca-certificates.crt
    play mail msmtp
    want_status 0
    want_log smtp 'by way of the proxy'
    want_log socks "connected to (mail\.example\.org|${ADDRESS[mail.example.org]}):25"
    end_job
}

mutt_sends() {
    home
    put mail muttrc .muttrc
    play mail mutt
    want_status 0
    want_log smtp 'by way of gate'
    want_log sshd "Accepted publickey for alice|on ${ADDRESS[gate.example.net]} port 22"
    # mutt must also accept the page's `hooks` block without an error.
    put mail hooks .muttrc
    try "${AS[@]}" mutt -Q tunnel
    want_status 0
    # mutt may report a missing S/MIME program, which does not matter here.
    sed -i '/^GPGME: /d' "$CASE/err"
    want_quiet
}

ansible_runs() {
    home
    # Ansible requires a UTF-8 locale.
    AS+=(LC_ALL=C.UTF-8)
    MODE=644 put ansible inventory hosts.ini
    play ansible use
    want_status 0
    grep -q "^I come from ${ADDRESS[socks.corp.example]} " "$CASE/out" || fail "not through the proxy: $(cat "$CASE/out")"
    grep -q '"ping": "pong"' "$CASE/out" || fail "no pong: $(cat "$CASE/out")"
    want_asked 1
    pkill -u alice -x ssh
}

# ---- local ports opened by other programs ----------------------------------------------------------------------

# Expects git to fetch the project through the local port.
port_leads_to_git() { # PAGE BLOCK
    want_listening 127.0.0.1:9418
    play "$1" "$2"
    want_status 0
    same_project project
    want_log socks "connected to (git\.example\.org|${ADDRESS[git.example.org]}):9418"
    rm -rf /home/alice/project
}

socat_execs() {
    home
    play_on socat exec
    port_leads_to_git socat use
    end_job
}

systemd_by_hand() {
    home
    play_on systemd by-hand
    port_leads_to_git systemd use
    # The instance started for the first client also serves the second.
    port_leads_to_git systemd use
    end_job
}

# Prints the values of a key in a page's unit, with %t and the path of connect replaced.
unit_setting() { # PAGE BLOCK KEY
    block "$1" "$2" | sed -n "s|^$3=||p" | sed "s|%t|/home/alice|g; s|/usr/bin/connect|$WORK/bin/connect|"
}

systemd_verify() { # PAGE UNIT:BLOCK...
    local page=$1 unit
    shift
    mkdir "$CASE/units"
    for unit in "$@"; do
        block "$page" "${unit#*:}" | sed "s|/usr/bin/connect|$WORK/bin/connect|" >"$CASE/units/${unit%:*}"
    done
    try env "XDG_RUNTIME_DIR=$CASE" systemd-analyze verify --user --man=no "$CASE"/units/*
    want_status 0
    # systemd-analyze only warns about an unknown key, and still exits with status 0.
    want_quiet
    want_nothing_out
}

# systemd does not run here, so systemd-socket-activate opens the socket unit's sockets and starts
# the service unit's command.
systemd_unit() {
    local listen=() command place
    home
    systemd_verify systemd git-tunnel.socket:socket git-tunnel.service:service
    while read -r place; do
        listen+=(-l "$place")
    done < <(unit_setting systemd socket ListenStream)
    read -ra command < <(unit_setting systemd service ExecStart)
    [ "${#listen[@]}" -eq 4 ] || fail "the units do not have two ListenStream="
    "${AS[@]}" systemd-socket-activate "${listen[@]}" "${command[@]}" 2>"$CASE/connect.err" &
    JOB=$!
    poll 100 test -S /home/alice/git.sock || fail "no socket: $(cat "$CASE/connect.err")"
    port_leads_to_git systemd use
    play_typing local-port socket '0032git-upload-pack /project\0000host=git.example.org\00000000'
    want_status 0
    grep -aq 'refs/heads/main' "$CASE/out" || fail "git's answer did not come through the socket"
    end_job
    [ -S /home/alice/git.sock ] || fail "connect has removed systemd's socket"
}

systemd_each() {
    local command
    home
    systemd_verify systemd git-each.socket:each-socket git-each@.service:each-service
    read -ra command < <(unit_setting systemd each-service ExecStart)
    # The unit sends stderr to the journal. --inetd does not redirect stderr, so send it to a file.
    "${AS[@]}" systemd-socket-activate --accept --inetd -l "$(unit_setting systemd each-socket ListenStream)" "${command[@]}" \
        2>"$CASE/connect.err" &
    JOB=$!
    port_leads_to_git systemd use
    port_leads_to_git systemd use
    end_job
}

inetd_starts() {
    home
    block inetd line | sed "s|/usr/bin/connect|$WORK/bin/connect|" >"$CASE/inetd.conf"
    inetd -i "$CASE/inetd.conf" &
    JOB=$!
    port_leads_to_git inetd use
    # The page says that the client receives the error message, so make the connection fail.
    sed -i 's/ 9418$/ 1/' "$CASE/inetd.conf"
    kill -HUP "$JOB"
    poll 100 says_why || fail "the client did not receive the error: $(cat "$CASE/out")"
    kill "$JOB"
    poll 100 ended || fail "inetd ignores SIGTERM"
}

says_why() {
    try socat -T5 - TCP:127.0.0.1:9418
    grep -q '^connect: .*git\.example\.org:1' "$CASE/out"
}

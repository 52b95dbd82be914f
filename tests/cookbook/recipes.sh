# shellcheck shell=bash
# The list of checks, and the checks for routes through proxies and SSH hosts. The commands come
# from the pages, the expectations from this file.

all_recipes() {
    check trouble trouble
    check ssh-socks ssh_socks
    check ssh-socks/version-4 ssh_socks4
    check chain chain
    check chain/parameter-file chain_rc
    check fdpass fdpass
    check ssh-http ssh_http
    check ssh-http/password ssh_http_password
    check ssh-http/environment ssh_http_environment
    check tls tls
    check tls/own-authority tls_own
    check tls/pin tls_pin
    check tls-target/stunnel tls_target_stunnel
    check tls-target/haproxy tls_target_haproxy
    check tls-target/own-authority tls_target_own
    check inside-outside inside_outside
    check inside-outside/direct-list direct_list
    check inside-outside/negated direct_not
    check hopping hopping
    check hopping/ssh hopping_ssh
    all_bastions
    check port-443 port_443
    check port-443/other-ports-closed port_443_only
    check program-name/number name_number
    check program-name/service name_service
    check program-name/explicit-port name_explicit
    check program-name/none name_none
    check fetchmail/proxy fetch_mail proxy
    check fetchmail/hop fetch_mail hop
    check fetchmail/login fetch_mail login
    check emacs emacs_relay
    check emacs/replaced-in-a-package emacs_replace
    check emacs/errors emacs_errors
    check askpass/desktop askpass_desktop
    check askpass/force askpass_force
    check askpass/rules askpass_rules
    check password/file password_from_file
    check password/command password_from_command
    check password/netrc password_from_netrc
    check password/descriptor password_from_descriptor
    check connectrc connectrc
    check connectrc/variable-first connectrc_variable
    check connectrc/system connectrc_system
    check connectrc/complaint connectrc_complaint
    check connectrc/permissions connectrc_permissions
    check location/office location_at 10.20.30.40/8 http 'proxy.corp.example'
    check location/lab location_at 192.168.1.23/24 socks 'socks.corp.example'
    check location/none location_at 110.1.1.1/8 '' ''
    check location/similar-network location_at 192.168.10.1/24 '' ''
    check location/conditions location_conditions
    check location/complaint location_complaint
    check location/pac location_pac pac
    check location/pac-any location_pac pac-any
    check local-port/once local_once
    check local-port/listen local_listen
    check local-port/keep local_keep
    check local-proxy local_proxy
    check local-proxy/parameter-file local_proxy_rc
    check local-proxy/open local_proxy_open
    check tokens tokens
    check websocket websocket ssh
    check websocket/proxy websocket ssh-proxy
    check relay relay
    check git git_recipes
    check git/github git_github
    check git/proxy git_proxy
    check openssh openssh
    check openssh/match openssh_match
    check other-ssh/plink putty
    check other-ssh/dropbear dropbear
    check editors editors
    check editors/port editors_port
    check rsync rsync_ssh
    check rsync/server rsync_server
    check mail/msmtp msmtp_sends
    check mail/mutt mutt_sends
    check ansible ansible_runs
    check socat socat_execs
    check systemd/by-hand systemd_by_hand
    check systemd/unit systemd_unit
    check systemd/each systemd_each
    check inetd inetd_starts
    check recording recording
}

# ---- README.md -------------------------------------------------------------------------------------------------

trouble() {
    local line
    home ssh-socks socks
    play_typing README debug 'bye\r\n'
    want_status 0
    want_banner
    block README debug-output >"$CASE/expected"
    while read -r line; do
        grep -Fqx -e "$line" "$CASE/err" || fail "-d does not print: $line"
    done <"$CASE/expected"
    try "${AS[@]}" ssh -p 2222 shell.example.org
    want_ssh_failed
    grep -Fqx -e "$(block README refused)" "$CASE/err" || fail "not on stderr: $(block README refused)"
}

# ---- through a proxy -------------------------------------------------------------------------------------------

ssh_socks() {
    home ssh-socks socks
    play ssh-socks socks-use
    want_status 0
    want_from socks.corp.example
    want_quiet
    # The page says that this machine cannot resolve the name.
    ! grep -q shell.example.org /etc/hosts || fail "this machine resolves the target's name"
}

chain() {
    home chain ssh
    play chain use
    want_status 0
    want_from proxy.corp.example
    want_log socks "connected to proxy\.corp\.example:8080"
}

# Expects the second route to be used, because the first proxy on the first route is down.
chain_rc() {
    home chain ssh-auto
    put chain rc .connectrc
    play chain use
    want_status 0
    want_from proxy.corp.example
    play chain check </dev/null
    want_status 0
    grep -q '✗ .*SOCKS5 proxy lab.corp.example:1080 (hop 1 of 2) .*: Connection refused' "$CASE/out" ||
        fail "the first route did not fail: $(cat "$CASE/out")"
    grep -q '/home/alice/.connectrc:2 ' "$CASE/out" || fail "no file and line: $(cat "$CASE/out")"
    grep -q '✓ .* sent: SSH-2.0-' "$CASE/out" || fail "no greeting: $(cat "$CASE/out")"
}

ssh_socks4() {
    home ssh-socks socks4
    play ssh-socks socks-use
    want_status 0
    want_log socks4 'decode socks4a: host shell\.example\.org'
}

fdpass() {
    home fdpass fdpass
    play fdpass fdpass-use
    want_status 0
    want_from socks.corp.example
    want_quiet
}

ssh_http() {
    home ssh-http http
    play ssh-http http-use
    want_status 0
    want_from proxy.corp.example
    want_log http 'CONNECT shell\.example\.org:22 '
}

ssh_http_password() {
    home ssh-http http-user
    password_file "$PLAIN_PASSWORD"
    play ssh-http http-password
    want_status 0
    want_from guarded.corp.example
    # The proxy must reject a wrong password.
    echo wrong >/home/alice/.proxy-password
    try "${AS[@]}" sh -eu "$CASE/http-password.sh"
    want_ssh_failed
    want_err '^connect: .*guarded\.corp\.example:8080 rejected user .*: authentication failed'
}

ssh_http_environment() {
    home
    password_file "$PLAIN_PASSWORD"
    play ssh-http http-environment
    want_status 0
    want_from guarded.corp.example
}

inside_outside() {
    home inside-outside blocks
    play inside-outside blocks-use
    want_status 0
    want_from 'outside sees' socks.corp.example
    ! grep -Eq "^inside sees ${ADDRESS[socks.corp.example]} " "$CASE/out" ||
        fail "the inside host was reached through the proxy"
    grep -q '^inside sees ' "$CASE/out" || fail "the inside host was not reached"
    ! logged socks "${ADDRESS[build.corp.example]}|build\.corp" || fail "the proxy received a request for the inside host"
}

direct_list() {
    home inside-outside direct-ssh
    put inside-outside direct .connectrc
    play inside-outside blocks-use
    want_status 0
    want_from 'outside sees' socks.corp.example
    grep -q '^inside sees ' "$CASE/out" || fail "the inside host was not reached"
    ! logged socks "${ADDRESS[build.corp.example]}|build\.corp" || fail "the proxy received a request for the inside host"
    # Repeat the check with an address instead of a name.
    try "${AS[@]}" ssh "${ADDRESS[build.corp.example]}" true
    want_status 0
    ! logged socks "${ADDRESS[build.corp.example]}" || fail "the proxy received a request for the inside address"
}

direct_not() {
    home inside-outside direct-ssh
    put inside-outside direct-not .connectrc
    try "${AS[@]}" ssh lab.corp.example "$ASK"
    want_status 0
    want_from socks.corp.example
    try "${AS[@]}" ssh build.corp.example "$ASK"
    want_status 0
    ! grep -Fq "${ADDRESS[socks.corp.example]}" "$CASE/out" || fail "build.corp.example was reached through the proxy"
}

# ---- TLS -------------------------------------------------------------------------------------------------------

# Checks TLS with the proxy's CA in the client machine's trust store.
tls() {
    local trusted
    home tls ssh
    trusted=/etc/ssl/certs/$(openssl x509 -noout -hash -in "$WORK/etc/proxy-authority.pem").0
    cp "$WORK/etc/proxy-authority.pem" "$trusted"
    play tls use
    rm "$trusted"
    want_status 0
    want_from proxy.corp.example
    want_log tls 'Service \[proxy\] accepted connection'
}

tls_own() {
    home tls ssh-auto
    put tls rc .connectrc
    play tls use
    want_ssh_failed
    want_err '/home/alice/corp-authority\.pem'
    install -o alice -g alice "$WORK/etc/proxy-authority.pem" /home/alice/corp-authority.pem
    play tls use
    want_status 0
    want_from proxy.corp.example
}

tls_pin() {
    home
    install -o alice -g alice -m 644 "$WORK/etc/proxy.pem" /home/alice/proxy.pem
    play tls pin
    want_status 0
    install -o alice -g alice "$CASE/out" /home/alice/pin
    PAUSE=2 play_typing tls pinned ''
    grep -q '^SSH-2' "$CASE/out" || fail "no ssh banner"
    echo AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= >/home/alice/pin
    PAUSE=2 play_typing tls pinned ''
    want_status 5
    want_err 'has a key that is not pinned'
}

# The page's stunnel and HAProxy run in `world.sh`.
tls_target_stunnel() {
    home tls-target ssh
    play tls-target use
    want_status 0
    want_out 'I am in.'
    want_quiet
    want_log http 'CONNECT tunnel\.example\.org:443 '
    want_log tunnel 'Service \[ssh\] accepted connection'
}

tls_target_haproxy() {
    home tls-target ssh
    play tls-target use-haproxy
    want_status 0
    want_out 'I am in.'
    want_log http 'CONNECT ssh\.example\.org:443 '
    # The page says that the name decides: no other name leads to sshd.
    try "${AS[@]}" connect --tls-target --insecure -q --tls-server-name www.example.org -H proxy.corp.example:8080 ssh.example.org 443
    ! grep -q '^SSH-' "$CASE/out" || fail "another name leads to sshd"
}

# Expects the options to be for the target, and those in the URL for the proxy.
tls_target_own() {
    home
    install -o alice -g alice "$WORK/etc/tunnel.pem.crt" /home/alice/tunnel.pem
    install -o alice -g alice "$WORK/etc/proxy-authority.pem" /home/alice/corp-authority.pem
    PAUSE=2 play_typing tls-target own ''
    want_banner
    PAUSE=2 play_typing tls-target both ''
    want_banner
    want_log tls 'Service \[proxy\] accepted connection'
    # Without the option in the URL, the proxy is verified against the system's authorities.
    sed -i 's/?tls-ca=[^ ]*pem//' "$CASE/both.sh"
    try "${AS[@]}" sh -eu "$CASE/both.sh"
    want_status 5
    want_err "^connect: HTTP proxy proxy\.corp\.example:443 .* in the URL given to -x"
}

# ---- hops ------------------------------------------------------------------------------------------------------

# Expects a POP3 greeting and a reply to QUIT.
want_pop3() {
    want_status 0
    grep -q '^+OK' "$CASE/out" || fail "no POP3 greeting: $(head -c 200 "$CASE/out")"
    [ "$(grep -c '^+OK' "$CASE/out")" -eq 2 ] || fail "QUIT was not answered"
}

hopping() {
    home
    play_typing hopping hop 'QUIT\r\n'
    want_pop3
    want_log sshd "Accepted publickey for alice|on ${ADDRESS[gate.example.net]} port 22"
    ! grep -q internal /etc/hosts || fail "this machine resolves the target's name"
}

hopping_ssh() {
    home hopping hop-ssh
    play hopping hop-ssh-use
    want_status 0
    grep -q '^I am in, from ' "$CASE/out" || fail "no login: $(cat "$CASE/out")"
    want_log sshd "on ${ADDRESS[gate.example.net]} port 22"
    want_log sshd "on ${ADDRESS[build.internal.example]} port 22"
    # The page uses connect because gate.example.net refuses forwarding, so check that it does.
    try "${AS[@]}" ssh -F /etc/ssh/ssh_config -J gate.example.net build.internal.example true
    want_ssh_failed
    want_err 'administratively prohibited'
}

port_443() {
    home port-443 second-hop
    play port-443 second-hop-use
    want_status 0
    want_from 'home sees' firewall
    grep -q '^server sees ' "$CASE/out" || fail "the server was not reached"
    want_log sshd "on ${ADDRESS[home.example.org]} port 443"
    want_log sshd "on ${ADDRESS[server]} port 22"
    want_log firewall 'CONNECT home\.example\.org:443 '
    ! logged firewall 'CONNECT server' || fail "the firewall received a request for the server"
}

port_443_only() {
    try "${AS[@]}" connect -H firewall:8080 home.example.org 22
    want_status 5
    want_line 'firewall:8080' '403'
}

# ---- the program's name ----------------------------------------------------------------------------------------

want_smtp() {
    want_status 0
    grep -q '^220 ' "$CASE/out" || fail "no SMTP greeting: $(head -c 200 "$CASE/out")"
    grep -q '^221 ' "$CASE/out" || fail "QUIT was not answered"
}

# Lets this machine resolve mail.example.org, because the page connects to it without a proxy.
know_mail() {
    echo "${ADDRESS[mail.example.org]} mail.example.org" >>/etc/hosts
}

name_number() {
    home
    know_mail
    play program-name link
    want_status 0
    play_typing program-name number 'QUIT\r\n'
    want_smtp
}

name_service() {
    home
    play_typing program-name service 'QUIT\r\n'
    want_smtp
    want_log socks "${ADDRESS[mail.example.org]}:25|mail\.example\.org:25"
}

name_explicit() {
    home
    play program-name link
    play_typing program-name explicit 'QUIT\r\n'
    want_pop3
}

name_none() {
    ln -s "$WORK/bin/connect" "$CASE/connect-proxy"
    try "${AS[@]}" "$CASE/connect-proxy" mail.example.org
    want_status 2
    want_line 'missing port'
}

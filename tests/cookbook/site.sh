# shellcheck shell=bash
# Checks for README.md and the pages in docs, except the cookbook and switching.md. The commands
# come from the pages.

all_site() {
    check start/try start_try
    check start/which-proxy start_which
    check start/socks start_ssh socks socks.corp.example
    check start/password start_password
    check start/inside start_inside
    check start/check start_check
    check readme/config readme_config
    check proxies/url proxies_url
    check proxies/socket-url proxies_socket_url
    check parameters/match parameters_match
    check troubleshooting/check trouble_check
    check troubleshooting/ssh-v trouble_ssh_v
    check troubleshooting/closed trouble_closed
    check troubleshooting/control-persist trouble_control_persist
    check troubleshooting/limits trouble_limits
    check troubleshooting/names trouble_names
    check troubleshooting/quoting trouble_quoting
}

# Prints the blocks that are run elsewhere, as PAGE NAME REASON.
elsewhere() {
    cat <<-END
		../start install tests/run installs it, into a directory of its own
		../../README install tests/run installs it, into a directory of its own
		../../README quickstart tests/run has it as a step
		../../README everything tests/run is what is running
	END
}

# Checks that every block on every page was run by another check or is listed by `elsewhere`.
every_block() {
    local file page name language rest number=0
    elsewhere >>"$WORK/used"
    for file in "$PAGES"/*.md "$PAGES"/../*.md "$PAGES"/../../README.md; do
        page=${file#"$PAGES"/}
        while read -r language rest; do
            name=${rest#test=}
            # Diagrams and unnamed text blocks are not run.
            [[ -n $rest || $language != text && $language != mermaid ]] || continue
            [[ -n $rest ]] || fail "$page has a block without test=NAME: $language"
            grep -Eq "^${page%.md} $name( |\$)" "$WORK/used" || fail "$page: nothing runs test=$name"
            number=$((number + 1))
        done < <(awk '/^ *```/ { on = !on; sub(/^ */, ""); if (on) print substr($0, 4) }' "$file")
    done
    printf '%s blocks\n' "$number"
    [ "$number" -gt 80 ] || fail "only $number blocks found"
}

# Expects the output of --check to match the block on the page, apart from the times.
want_page() { # PAGE NAME
    local times='s/ +[0-9.]+ ms / - ms /'
    diff <(block "$1" "$2" | sed -E "$times") <(sed -E "$times" "$CASE/out") ||
        fail "the output differs from $1.md"
}

# ---- start.md --------------------------------------------------------------------------------------------------

start_try() {
    home
    PAUSE=2 play_typing ../start try ''
    want_status 0
    want_banner
    want_quiet
}

start_which() {
    home
    block ../start which >"$CASE/which.sh"
    try "${AS[@]}" env http_proxy=http://proxy.corp.example:8080 sh -eu "$CASE/which.sh"
    want_status 0
    want_out http_proxy=http://proxy.corp.example:8080
}

start_ssh() { # BLOCK NAME
    home ../start "$1"
    play ../start ssh
    want_status 0
    want_from "$2"
    want_quiet
}

# The page uses the password that the proxy requires.
start_password() {
    home ../start http
    play ../start password
    want_status 0
    [ "$(stat -c %a /home/alice/.proxy-password)" = 600 ] || fail "others can read the password"
    put ../start connectrc .connectrc
    play ../start ssh
    want_status 0
    want_from guarded.corp.example
    want_quiet
}

start_inside() {
    start_ssh inside socks.corp.example
    try "${AS[@]}" ssh build.corp.example "$ASK"
    want_status 0
    grep -q '^I come from ' "$CASE/out" || fail "not reached"
    ! grep -Fq "${ADDRESS[socks.corp.example]}" "$CASE/out" || fail "an inside host was reached through the proxy"
}

start_check() {
    home
    play ../start check
    want_status 4
    want_page ../start check-output
}

# ---- README.md -------------------------------------------------------------------------------------------------

readme_config() {
    local host proxy trusted
    home ../../README config
    # Add the proxy's CA to the client machine's trust store.
    trusted=/etc/ssl/certs/$(openssl x509 -noout -hash -in "$WORK/etc/proxy-authority.pem").0
    cp "$WORK/etc/proxy-authority.pem" "$trusted"
    while read -r -u 3 host proxy; do
        try "${AS[@]}" ssh "$host" "$ASK"
        want_status 0
        want_from "$proxy"
        want_quiet
    done 3<<-END
		shell.example.org socks.corp.example
		mailhost.example.net proxy.corp.example
		build.internal.example proxy.corp.example
	END
    rm "$trusted"
    want_log socks "connected to ${ADDRESS[proxy.corp.example]//./\\.}:443"
}

# ---- proxies.md ------------------------------------------------------------------------------------------------

# The names on the page do not resolve, but --check prints the plan anyway.
proxies_url() {
    home
    try "${AS[@]}" connect --check -x "$(block ../proxies url)" shell.example.org 22
    grep -o '[a-z]*\.example:[0-9]* → .*\|direct connection to .*' "$CASE/out" | head -n 3 >"$CASE/routes"
    diff - "$CASE/routes" <<-END || fail "--check prints other routes"
		a.example:1080 → HTTP proxy b.example:8080 → shell.example.org:22
		c.example:80 → shell.example.org:22
		direct connection to shell.example.org:22
	END
    want_secret_kept pass@word
}

# Nothing listens at the socket on the page.
proxies_socket_url() {
    home
    try "${AS[@]}" connect --check -x "$(block ../proxies socket-url)" shell.example.org 22
    grep -q 'SOCKS5 proxy unix:/run/tor/socks → shell.example.org:22' "$CASE/out" || fail "--check prints another route"
    grep -q 'cannot connect to SOCKS5 proxy unix:/run/tor/socks: ' "$CASE/out" || fail "--check tries another proxy"
}

# ---- parameters.md ---------------------------------------------------------------------------------------------

parameters_match() {
    home
    put ../parameters match .connectrc
    want_checked CONNECT_PROXY 1 -A shell.example.org 22
    want_checked CONNECT_PROXY 5 -A box.lab.example 22
    want_checked CONNECT_PROXY 1 -A www.lab.example 22
    at 192.168.1.23/24
    want_checked CONNECT_PROXY 3 -A shell.example.org 22
    want_quiet
}

# ---- troubleshooting.md ----------------------------------------------------------------------------------------

trouble_check() {
    home
    play ../troubleshooting check
    want_status 5
    want_page ../troubleshooting check-output
}

through_firewall() {
    home
    printf 'Host *.example.org\n    ProxyCommand connect -H firewall:8080 %%h %%p\n' >/home/alice/.ssh/config
    chown -R alice: /home/alice/.ssh
}

trouble_ssh_v() {
    through_firewall
    play ../troubleshooting ssh-v
    # ssh ends its messages with CR LF.
    sed -i 's/\r$//' "$CASE/out"
    want_out "$(block ../troubleshooting ssh-v-output)"
    play ../troubleshooting ssh-G
    want_status 0
    want_out 'proxycommand connect -H firewall:8080 %h %p'
}

trouble_closed() {
    through_firewall
    try "${AS[@]}" ssh shell.example.org true
    want_ssh_failed
    [ "$(tr -d '\r' <"$CASE/err")" = "$(block ../troubleshooting closed)" ] || fail "ssh and connect print something else"
    # If the shell cannot find connect, it prints a line that ends with "not found", as the page
    # says.
    try "${AS[@]}" ssh -o 'ProxyCommand=nosuch %h %p' shell.example.org true
    want_ssh_failed
    want_err ': nosuch: not found.?$'
}

trouble_control_persist() {
    through_firewall
    printf '    ControlMaster auto\n    ControlPersist 60\n    ControlPath ~/.ssh/%%C\n' >>/home/alice/.ssh/config
    try "${AS[@]}" ssh shell.example.org true
    want_ssh_failed
    ! grep -q '^connect: ' "$CASE/err" || fail "the message is printed in spite of ControlPersist"
    play ../troubleshooting control-path
    want_ssh_failed
    want_err '^connect: HTTP proxy firewall:8080 refused'
}

trouble_limits() {
    local name
    for name in wait alive; do
        home ../troubleshooting "$name"
        try "${AS[@]}" ssh shell.example.org "$ASK"
        want_status 0
    done
    # With a silent proxy, connect reports its timeout before ssh gives up.
    home ../troubleshooting wait
    sed -i 's/-w 10 -H proxy.corp.example:8080/-w 1 -H silent:8080/; s/Timeout 15/Timeout 30/' /home/alice/.ssh/config
    echo "${ADDRESS[socks.corp.example]} silent" >>/etc/hosts
    socat "TCP4-LISTEN:8080,bind=${ADDRESS[socks.corp.example]},reuseaddr" 'EXEC:sleep 20' &
    poll 50 listening "${ADDRESS[socks.corp.example]}:8080" || fail "the silent proxy does not listen"
    try "${AS[@]}" ssh shell.example.org true
    kill $!
    want_ssh_failed
    want_err '^connect: timed out after 1 second: HTTP proxy silent:8080 did not send the response'
    ! grep -q 'banner exchange' "$CASE/err" || fail "ssh gave up first"
}

trouble_names() {
    home
    play_typing ../troubleshooting names ''
    want_status 0
    grep -q 'names resolved by the proxy' "$CASE/out" || fail "--check does not print where names are resolved"
}

trouble_quoting() {
    home ../troubleshooting quoting
    try "${AS[@]}" ssh shell.example.org "$ASK"
    want_status 0
    want_from guarded.corp.example
    want_quiet
}

# shellcheck shell=bash
# Checks for relay-operations.md and the units in examples/relay.

all_operations() {
    check operations/units operations_units
    check operations/peers operations_peers
    check operations/hub operations_hub
    check relay-team relay_team
    check relay-agent relay_agent
    check switching-relay/shellrelay switching_relay shellrelay 5
    check switching-relay/chisel switching_relay chisel 6
    check switching-relay/wstunnel switching_relay wstunnel 5
    check switching-relay/bore switching_relay bore 5
    check switching-relay/frp switching_relay frp 5
}

OPERATIONS=../relay-operations

# Prints a file of examples/relay with the program and the address of this test.
relay_example() { # FILE
    sed "s|/usr/bin/connect|$WORK/bin/connect|; s|0\.0\.0\.0:443|${ADDRESS[hub.example]}:443|" \
        "$WORK/repository/examples/relay/$1"
}

operations_units() {
    local unit
    for unit in connect-hub connect-origin; do
        relay_example "$unit.service" >"$CASE/$unit.service"
        try systemd-analyze verify --man=no "$CASE/$unit.service"
        want_status 0
        want_quiet
        want_nothing_out
    done
}

# haproxy parses the example with the page's section.
operations_peers() {
    {
        relay_example haproxy.cfg | sed "s|^\( *stick-table .*\)|\1 peers balancers|
            s|/etc/haproxy/hub.example.pem|$WORK/etc/www.pem|"
        block "$OPERATIONS" peers
    } >"$CASE/haproxy.cfg"
    grep -q 'peers balancers$' "$CASE/haproxy.cfg" || fail "haproxy.cfg has no stick-table"
    try haproxy -c -L balancer1 -f "$CASE/haproxy.cfg"
    want_status 0
    # Without the section, haproxy rejects the name.
    sed -i '/^peers /,$d' "$CASE/haproxy.cfg"
    try haproxy -c -f "$CASE/haproxy.cfg"
    want_status 1
}

# ---- a hub -----------------------------------------------------------------------------------------------------

# Installs a systemctl that starts, reloads and stops the commands of units, with the user and the
# capabilities of the units.
make_systemctl() {
    mkdir -p "$CASE/bin" "$CASE/run"
    cat >"$CASE/bin/systemctl" <<-END
		#!/bin/bash
		set -eu
		run=$CASE/run unit=\${*: -1}
		END
    cat >>"$CASE/bin/systemctl" <<-'END'
		field() { sed -n ":a; /\\\\\$/ { N; s/\\\\\n//; ba }; s/^$1=//p" "/etc/systemd/system/$unit.service"; }
		start() {
		    local command capabilities=()
		    read -ra command <<<"$(field ExecStart)"
		    [ "$(field AmbientCapabilities)" != CAP_NET_BIND_SERVICE ] ||
		        capabilities=(--ambient-caps=+net_bind_service)
		    setpriv --reuid="$(field User)" --regid="$(field User)" --clear-groups \
		        --inh-caps=-all,+net_bind_service "${capabilities[@]}" "${command[@]}" >>"$run/$unit.log" 2>&1 </dev/null &
		    echo $! >"$run/$unit.pid"
		}
		stop() {
		    kill -TERM "$(cat "$run/$unit.pid")"
		    while [ -e "/proc/$(cat "$run/$unit.pid")" ]; do sleep 0.05; done
		}
		case $1 in
		daemon-reload) ;;
		enable) start ;;
		restart) stop; start ;;
		reload) kill -HUP "$(cat "$run/$unit.pid")" ;;
		*) exit 1 ;;
		esac
	END
    chmod 755 "$CASE/bin/systemctl"
}

# Runs a block as root, in the directory with alice's files.
play_root() { # NAME
    block "$OPERATIONS" "$1" >"$CASE/$1.sh"
    try env -C /home/alice "PATH=$CASE/bin:$PATH" RENEWED_LINEAGE=/etc/letsencrypt/live/hub.example sh -eu "$CASE/$1.sh"
    want_status 0
}

# Creates an authority that the client machine trusts.
make_hub_authority() {
    local pem=$CASE/authority.pem
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=Hub Authority' \
        -addext basicConstraints=critical,CA:TRUE -keyout "$pem.key" -out "$pem" 2>/dev/null ||
        fail "cannot create the authority"
    cp "$pem" "/etc/ssl/certs/$(openssl x509 -noout -hash -in "$pem").0"
    cat "$pem" >>/etc/ssl/certs/ca-certificates.crt
}

# Creates a certificate, as certbot would.
make_hub_certificate() {
    local live=/etc/letsencrypt/live/hub.example
    mkdir -p "$live"
    openssl req -x509 -CA "$CASE/authority.pem" -CAkey "$CASE/authority.pem.key" -newkey ec \
        -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hub.example -addext basicConstraints=CA:FALSE \
        -addext subjectAltName=DNS:hub.example -keyout "$live/privkey.pem" -out "$live/fullchain.pem" 2>/dev/null ||
        fail "cannot create the certificate"
}

hub_has_new_certificate() {
    [ "$(openssl s_client -connect hub.example:443 </dev/null 2>/dev/null | openssl x509 -noout -serial)" = \
        "$(openssl x509 -noout -serial -in /etc/letsencrypt/live/hub.example/fullchain.pem)" ]
}

want_hub_listening() { poll 50 listening "${ADDRESS[hub.example]}:443" || fail "$(cat "$CASE/run/connect-hub.log")"; }

hub_logged() { grep -Eq -e "$1" "$CASE/run/connect-hub.log"; }

# Creates a token for jane.
token_for_jane() { # FILE SESSION TTL KEY
    alice sh -c "umask 077; connect --mint-token role=dest,session=$2,aud=hub.example,ttl=$3,sub=jane --signing-key $4 > $1"
}

# Connects to a session until the input ends after SECONDS.
visit() { # SESSION TOKEN SECONDS
    try "${AS[@]}" connect -x "wss://hub.example/v1/$1/dest" --token-file "$2" < <(exec sleep "$3")
}

# The hub's log consists of the lines on the page, but for addresses and times.
want_page_of_log() {
    local vary='s/192\.0\.2\.7:[0-9]+|198\.51\.100\.20:[0-9]+/ADDRESS/; s/20[0-9-]+T[0-9:]+Z/TIME/'
    diff <(block "$OPERATIONS" log | sed -E "$vary") <(grep client "$CASE/run/connect-hub.log" | sed -E "$vary") ||
        fail "the log differs from relay-operations.md"
}

operations_hub() {
    local since
    home
    make_systemctl
    make_hub_authority
    make_hub_certificate
    play "$OPERATIONS" keys
    want_status 0
    relay_example connect-hub.service >/home/alice/connect-hub.service
    play_root install
    trap 'pkill -TERM -u connect -x connect' EXIT
    want_hub_listening
    play "$OPERATIONS" check
    want_status 0
    grep -qx ok "$CASE/out" || fail "not healthy"
    grep -q '"sessions":0' "$CASE/out" || fail "no statistics"
    since=$(grep -o '"since":"[^"]*"' "$CASE/out")

    operations_origin
    operations_log
    operations_certificate
    operations_keys
    operations_deny

    sleep 1
    play_root restart
    want_hub_listening
    alice sh -c 'umask 077; connect --mint-token role=stats,aud=hub.example,ttl=60 --signing-key new.key > stats.token'
    play "$OPERATIONS" check
    want_status 0
    ! grep -qF "$since" "$CASE/out" || fail "the hub is still the old process"
}

# The origin of the unit offers sshd.
operations_origin() {
    play "$OPERATIONS" origin-token
    want_status 0
    install -o connect -m 600 /home/alice/origin.token /etc/connect/origin.token
    relay_example connect-origin.service >/etc/systemd/system/connect-origin.service
    "$CASE/bin/systemctl" enable --now connect-origin
    poll 100 grep -qx 'SOCKET_ID="lab1"; export SOCKET_ID;' "$CASE/run/connect-origin.log" ||
        fail "the origin is not registered: $(cat "$CASE/run/connect-origin.log")"
    token_for_jane jane.token lab1 1h hub.key
    visit lab1 jane.token 0
    want_status 0
    want_banner
}

operations_log() {
    alice sh -c 'echo not-a-token > bad.token && chmod 600 bad.token'
    visit lab1 bad.token 0
    want_status 6
    token_for_jane other.token lab2 1h hub.key
    visit lab1 other.token 0
    want_status 5
    visit lab2 other.token 0
    want_status 5
    token_for_jane short.token lab1 2s hub.key
    visit lab1 short.token 10
    want_status 6
    (sleep 1 && play_root deny) &
    visit lab1 jane.token 10
    want_status 5
    wait $!
    want_page_of_log
}

operations_certificate() {
    make_hub_certificate
    ! hub_has_new_certificate || fail "the hub has the new certificate already"
    play_root renew
    poll 50 hub_has_new_certificate || fail "the hub has the old certificate: $(cat "$CASE/run/connect-hub.log")"
}

# jane is denied here, so these tokens are for someone else.
operations_keys() {
    play "$OPERATIONS" new-key
    want_status 0
    install -o connect -m 600 /home/alice/hub.keys /etc/connect/hub.keys
    alice sh -c 'umask 077; connect --mint-token role=dest,session=lab1,aud=hub.example,ttl=1h,sub=bob --signing-key new.key > new.token'
    alice sh -c 'umask 077; connect --mint-token role=dest,session=lab1,aud=hub.example,ttl=1h,sub=bob --signing-key hub.key > old.token'
    poll 50 hub_logged 'hub.keys' || fail "the hub has not read the keys file again: $(cat "$CASE/run/connect-hub.log")"
    for token in old new; do
        visit lab1 "$token.token" 0
        want_status 0
        want_banner
    done
    play "$OPERATIONS" old-key
    want_status 0
    install -o connect -m 600 /home/alice/hub.keys /etc/connect/hub.keys
    # The origin's token was signed by the old key.
    poll 50 hub_logged "ended client .*lab1.* for session 'lab1': the key of the token was removed" ||
        fail "the origin is still connected: $(cat "$CASE/run/connect-hub.log")"
    visit lab1 old.token 0
    want_status 6
}

operations_deny() {
    token_for_jane jane.token lab1 1h new.key
    visit lab1 jane.token 0
    want_status 5
    want_err 'token denied'
}

# ---- relay-team.md ---------------------------------------------------------------------------------------------

# Both sessions lead to sshd at localhost.
relay_team() {
    home relay-team ssh
    trap 'pkill -TERM -u alice -x connect' EXIT
    install -o alice -g alice -m 600 "$WORK/etc/www.pem" /home/alice/cert.pem
    play relay-team keys
    want_status 0
    play_on relay-team hub
    want_listening 0.0.0.0:8443
    play relay-team hosts
    want_status 0
    team_origin lab-1
    team_origin lab-2
    play relay-team person
    want_status 0
    alice cp -p jane.token .ssh/lab.token
    play relay-team use
    want_status 0
    want_out "$(printf 'I am at lab-1.\nI am at lab-2.')"
    want_quiet

    # The key of the laboratory signs neither tokens for origins nor for other sessions.
    team_refused 'role=origin,session=lab-3' relay+wss://www.example.org:8443/lab-3
    team_refused 'role=dest,session=office' wss://www.example.org:8443/v1/office/dest
    # A host cannot take the session of another one.
    try "${AS[@]}" connect --origin relay+wss://www.example.org:8443/lab-1 --token-file lab-2.token localhost 22
    want_status 5
    want_err 'token for another session'

    play relay-team leave
    sleep 2
    try "${AS[@]}" ssh lab-1 true
    want_ssh_failed
    want_err 'token denied'
    play relay-team remove
    sleep 2
    try "${AS[@]}" ssh lab-1 true
    want_ssh_failed
    want_err 'token not signed by a known key'
}

team_origin() { # SESSION
    block relay-team origin | sed "s/lab-1/$1/g" >"$CASE/$1.sh"
    "${AS[@]}" sh -eu "$CASE/$1.sh" >"$CASE/$1.out" 2>"$CASE/$1.err" </dev/null &
    poll 100 grep -q "SOCKET_ID=\"$1\"" "$CASE/$1.out" || fail "not registered: $(cat "$CASE/$1.err")"
}

# Expects the hub to refuse a token of the laboratory's key.
team_refused() { # CLAIMS URL
    alice sh -c "umask 077; connect --mint-token '$1,aud=www.example.org,ttl=60' --signing-key lab.key > other.token"
    case $2 in
    relay+*) try "${AS[@]}" connect --origin "$2" --token-file other.token localhost 22 ;;
    *) try "${AS[@]}" connect -x "$2" --token-file other.token ;;
    esac
    want_status 5
    want_err 'token signed by a key for other sessions or roles'
}

# ---- relay-agent.md --------------------------------------------------------------------------------------------

relay_agent() {
    home
    trap 'pkill -TERM -u alice -x "connect|ssh-agent"' EXIT
    install -o alice -g alice -m 600 "$WORK/etc/www.pem" /home/alice/cert.pem
    play relay-agent key
    want_status 0
    block relay hub >"$CASE/command.sh"
    in_background
    want_listening 0.0.0.0:8443

    # Your machine: the key is in the agent only.
    alice sh -euc 'ssh-agent -a agent.real >/dev/null; SSH_AUTH_SOCK=agent.real ssh-add -q .ssh/id_ed25519; rm .ssh/id_ed25519'
    {
        # shellcheck disable=SC2016 # alice's shell expands it
        echo 'export SSH_AUTH_SOCK="$HOME/agent.real"'
        block relay-agent origin
        # shellcheck disable=SC2016
        echo 'echo "$SOCKET_ID"; echo "CONNECT_PID=$CONNECT_PID" >pid'
    } >"$CASE/origin.sh"
    try "${AS[@]}" sh -eu "$CASE/origin.sh"
    want_status 0
    want_out jane-agent

    # The container.
    play_on relay-agent container
    poll 100 test -S /home/alice/.agent.sock || fail "no socket: $(cat "$CASE/container.err")"
    [[ $(stat -c '%U %a' /home/alice/.agent.sock) == alice\ ?00 ]] || fail "others can use the socket"
    play relay-agent use
    want_status 0
    grep -q '(ED25519)$' "$CASE/out" || fail "no key: $(cat "$CASE/out")"
    same_project project

    block relay-agent stop >"$CASE/stop.sh"
    # shellcheck disable=SC2016 # the inner shell expands $0
    try "${AS[@]}" sh -euc '. ./pid; . "$0"' "$CASE/stop.sh"
    want_status 0
    sleep 1
    try "${AS[@]}" env SSH_AUTH_SOCK=/home/alice/.agent.sock timeout 30 ssh-add -l
    [ "$status" -ne 0 ] || fail "the agent can still be used"
    end_job
    [ ! -e /home/alice/.agent.sock ] || fail "the socket is left"
}

# ---- switching-relay.md ----------------------------------------------------------------------------------------

# Prints the commands of our program in the tables, those that others need first.
# shellcheck disable=SC2016 # backquotes delimit the commands
relay_commands() { # PROGRAM
    local kind
    sed -n "/^## From $1\$/,/^## From /p" "$WORK/repository/docs/switching-relay.md" | sed "1n; /^## From /d" |
        grep -oE '`(ssh -o ProxyCommand=.)?connect [^`]*`' | tr -d '`' | sort -u >"$CASE/unsorted"
    for kind in '--relay ' '--listen wss:' '--origin '; do
        grep -e "connect $kind" "$CASE/unsorted"
    done
    grep -ve '--relay ' -e '--listen wss:' -e '--origin ' "$CASE/unsorted"
}

# Runs all commands of a section. What is no server must reach sshd, but for commands that need
# wstunnel's server.
switching_relay() { # PROGRAM COUNT
    local command number=0
    home
    trap 'pkill -TERM -u alice -x connect' EXIT
    install -o alice -g alice -m 600 "$WORK/etc/www.pem" /home/alice/cert.pem
    # shellcheck disable=SC2016 # the inner shell expands $1
    alice sh -euc 'umask 077
        connect --mint-signing-key hub.key >hub.keys
        mint() { connect --mint-token "$1,aud=www.example.org,ttl=60" --signing-key hub.key; }
        mint role=origin,session=lab1 >origin.token
        mint role=dest,session=lab1 >client.token
        mint role=dest,session=ssh >ssh.token'
    # Programs with a listener of their own have the hub of another section.
    grep -q . <(relay_commands "$1") || fail "no commands for $1"
    {
        relay_commands "$1" | grep -q 'connect --relay ' || relay_commands bore | grep 'connect --relay '
        relay_commands "$1"
    } | sed 's/HUB/www.example.org/g; s/PROXY/proxy.corp.example/; s/SERVER/www.example.org/; s/HOST 22/shell.example.org 22/
        s/db\.internal/build.corp.example/' >"$CASE/commands"
    while read -r -u 3 command; do
        number=$((number + 1))
        printf '%s\n' "$command" >"$CASE/command.sh"
        case $command in
        *--mint-token*) try "${AS[@]}" sh -eu "$CASE/command.sh" && want_status 0 ;;
        *'connect --origin '*) relay_origin ;;
        *'connect --listen '*) relay_listener "$command" ;;
        *'connect --relay '*) in_background && want_listening 0.0.0.0:8443 ;;
        *dialect=wstunnel*)
            try "${AS[@]}" sh -eu "$CASE/command.sh"
            want_status 5
            want_err 'www.example.org:443 did not open a WebSocket'
            ;;
        'ssh '*)
            printf '%s echo in\n' "$command" >"$CASE/command.sh"
            try "${AS[@]}" sh -eu "$CASE/command.sh"
            want_status 0
            want_out in
            ;;
        *) fail "what is this: $command" ;;
        esac
    done 3<"$CASE/commands"
    [ "$number" -eq "$2" ] || fail "$number commands, expected $2"
}

in_background() { "${AS[@]}" sh -eu "$CASE/command.sh" >"$CASE/background" 2>&1 </dev/null & }

# An origin replaces the one before it.
relay_origin() {
    in_background
    poll 100 grep -q SOCKET_ID "$CASE/background" || fail "not registered: $(cat "$CASE/background")"
}

relay_listener() { # COMMAND
    local listen at
    listen=$(grep -oE -- '--listen [^ ]+' <<<"$1")
    at=${listen#--listen } at=${at#wss://} at=${at%/ssh}
    [[ $at == *:* ]] || at=127.0.0.1:$at
    in_background
    want_listening "$at"
    # The server for the next command, or a client of wstunnel's server.
    [[ $1 != *wss://0.0.0.0:8444* && $1 != *dialect=wstunnel* ]] || return 0
    [[ $(timeout 20 head -c 8 <"/dev/tcp/127.0.0.1/${at##*:}") == SSH-2.0- ]] ||
        fail "no banner of sshd: $(cat "$CASE/background")"
    pkill -TERM -u alice -f -e -- "connect $listen "
    poll 50 not_listening "$at" || fail "still listens on $at"
}

not_listening() { ! listening "$1"; }

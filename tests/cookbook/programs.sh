# shellcheck shell=bash
# Checks for mail, Emacs, passwords, parameter files, locations, local ports and git.

# ---- mail ------------------------------------------------------------------------------------------------------

fill_mailbox() {
    {
        printf 'From bob@example.org Sat Jan  3 10:00:00 2026\n'
        printf 'From: bob@example.org\nTo: alice@example.org\nSubject: %s\n\n' "$1"
        seq 1 2000
        echo
    } >/var/mail/alice
    chown alice: /var/mail/alice
    chmod 600 /var/mail/alice
}

fetch_mail() { # NAME
    home
    put fetchmail "$1" .fetchmailrc
    fill_mailbox "by $1"
    try "${AS[@]}" fetchmail --nosyslog --mda 'cat >>inbox'
    want_status 0
    grep -qx "Subject: by $1" /home/alice/inbox || fail "the mail did not arrive"
    [ "$(tr -d '\r' </home/alice/inbox | grep -Ecx '[0-9]+')" -eq 2000 ] || fail "the mail is incomplete"
    [ ! -s /var/mail/alice ] || fail "the mail is still on the server"
    case $1 in
    proxy) want_log socks 'connected to mail\.example\.org:995' ;;
    hop) want_log sshd "on ${ADDRESS[gate.example.net]} port 22" ;;
    login) want_log sshd "on ${ADDRESS[mailhost.example.net]} port 22" ;;
    esac
}

# ---- Emacs -----------------------------------------------------------------------------------------------------

run_lisp() { # FILE...
    local file load=()
    for file in "$@"; do
        load+=(-l "$file")
    done
    try "${AS[@]}" emacs -Q --batch -L . "${load[@]}"
}

emacs_relay() {
    home
    put emacs relay relay.el
    put emacs use use.el
    run_lisp use.el
    want_pop3
    want_log socks "${ADDRESS[mail.example.org]}:110|mail\.example\.org:110"
    # The page's Lisp must compile without warnings.
    try "${AS[@]}" emacs -Q --batch --eval '(setq byte-compile-error-on-warn t)' -f batch-byte-compile relay.el
    want_status 0
}

emacs_replace() {
    home
    fill_mailbox 'for Emacs'
    put emacs relay relay.el
    put emacs replace replace.el
    run_lisp replace.el
    want_status 0
    grep -q '1 messages' "$CASE/out" || fail "Emacs did not see the mail: $(cat "$CASE/out")"
    want_log socks "${ADDRESS[mail.example.org]}:110|mail\.example\.org:110"
}

emacs_errors() {
    home
    put emacs relay relay.el
    cat >"$CASE/errors.el" <<-END
		(require 'relay)
		(let ((stream (relay-open-network-stream "none" nil "mail.example.org" 1)))
		  (while (accept-process-output stream 10))
		  (sleep-for 0.5)
		  (princ (with-current-buffer "*relay errors*" (buffer-string))))
	END
    run_lisp "$CASE/errors.el"
    want_status 0
    grep -q '^connect: .*mail.example.org:1' "$CASE/out" || fail "the buffer does not contain the message of connect"
}

# Checks the proxy that libproxy finds in a variable, which its plug-ins for PAC files and desktops
# replace. `-A` and ssh's shell would find the variable themselves, so only the command gets it.
location_pac() { # BLOCK
    local answer server
    for server in proxy.corp.example socks.corp.example; do
        answer=http://proxy.corp.example:8080
        [ "$server" = proxy.corp.example ] || answer=socks5://socks.corp.example:1080
        if [ "$1" = pac ]; then
            home location ssh
            put location pac .connectrc
        else
            home location pac-any
        fi
        printf '#!/bin/sh\nhttps_proxy=%s exec /usr/bin/proxy "$@"\n' "$answer" >"$CASE/proxy"
        install -o alice -g alice -m 755 "$CASE/proxy" /home/alice/bin/proxy
        block location use >"$CASE/use.sh"
        try "${AS[@]}" env "PATH=/home/alice/bin:$WORK/bin:/usr/bin:/bin" sh -eu "$CASE/use.sh"
        want_status 0
        want_from "$server"
    done
}

# ---- passwords -------------------------------------------------------------------------------------------------

# Installs an askpass program that answers without a user and records the prompt.
install_askpass() {
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nprintf "%%s\\n" "$1" >>~/asked\ncat ~/.proxy-password\n' >"$WORK/bin/ssh-askpass"
    chmod 755 "$WORK/bin/ssh-askpass"
}

askpass_desktop() {
    home
    password_file "$PROXY_PASSWORD"
    install_askpass
    AS+=(DISPLAY=:0)
    play askpass desktop
    want_status 0
    want_from guarded.corp.example
    [ "$(cat /home/alice/asked)" = 'Enter SOCKS5 password for alice@guarded.corp.example: ' ] ||
        fail "prompt: $(cat /home/alice/asked)"
    # shellcheck disable=SC2016
    grep -Fq '`Enter SOCKS5 password for alice@guarded.corp.example: `' "$PAGES/askpass.md" ||
        fail "the page shows a different prompt"
}

askpass_force() {
    home
    password_file "$PROXY_PASSWORD"
    MODE=700 put askpass script bin/askpass
    play askpass force
    want_status 0
    want_from guarded.corp.example
    # The script must refuse other prompts.
    try "${AS[@]}" bin/askpass 'Enter passphrase for key: '
    want_status 1
    want_nothing_out
}

# Checks the page's table with and without a display, always without a terminal.
askpass_rules() {
    local require display expected
    home
    password_file "$PROXY_PASSWORD"
    MODE=700 put askpass script bin/askpass
    while read -r require display expected; do
        try "${AS[@]}" ${require:+"SSH_ASKPASS_REQUIRE=${require#-}"} ${display:+"DISPLAY=${display#-}"} \
            SSH_ASKPASS=/home/alice/bin/askpass connect -S alice@guarded.corp.example shell.example.org 22
        want_status "$expected"
        [ "$expected" -eq 0 ] || want_line 'guarded\.corp\.example:1080' 'SOCKS5_PASSWORD'
    done <<-END
		- - 6
		- :0 0
		prefer - 6
		prefer :0 0
		force - 0
		force :0 0
		never - 6
		never :0 6
	END
    rm /home/alice/bin/askpass
    try "${AS[@]}" SSH_ASKPASS=/home/alice/bin/askpass SSH_ASKPASS_REQUIRE=force \
        connect -S alice@guarded.corp.example shell.example.org 22
    want_status 6
    want_line 'failed to start'
    printf '#!/bin/sh\nexit 1\n' >/home/alice/bin/askpass
    chmod 755 /home/alice/bin/askpass
    try "${AS[@]}" SSH_ASKPASS=/home/alice/bin/askpass SSH_ASKPASS_REQUIRE=force \
        connect -S alice@guarded.corp.example shell.example.org 22
    want_status 6
    want_line 'was cancelled or failed'
}

# ---- the parameter file ----------------------------------------------------------------------------------------

connectrc() {
    home connectrc ssh
    MODE=644 put connectrc file .connectrc
    play connectrc permissions
    want_status 0
    try "${AS[@]}" ssh shell.example.org "$ASK"
    want_status 0
    want_from guarded.corp.example
    want_quiet
    try "${AS[@]}" ssh build.corp.example "$ASK"
    want_status 0
    ! grep -Fq "${ADDRESS[guarded.corp.example]}" "$CASE/out" || fail "the bypass list of the file was not used"
}

connectrc_variable() {
    home connectrc ssh
    put connectrc file .connectrc
    play connectrc variable
    want_status 0
    want_from socks.corp.example
    # An option must override a variable.
    try "${AS[@]}" SOCKS5_SERVER=127.0.0.1:1 connect -S guarded.corp.example shell.example.org 22 \
        < <(printf 'bye\r\n'; sleep 5)
    want_status 0
    want_banner
}

connectrc_system() {
    home connectrc ssh
    block connectrc system >/etc/connectrc
    put connectrc file .connectrc
    # The system's file sets the proxy, and the user's file adds the user name and password.
    sed -i '/SERVER/d' /home/alice/.connectrc
    try "${AS[@]}" ssh shell.example.org "$ASK"
    want_status 0
    want_from guarded.corp.example
    # If both files set the proxy, the user's file takes precedence.
    echo 'SOCKS5_SERVER = 127.0.0.1:1' >/etc/connectrc
    put connectrc file .connectrc
    try "${AS[@]}" ssh shell.example.org "$ASK"
    want_status 0
    want_from guarded.corp.example
}

connectrc_complaint() {
    home connectrc ssh
    {
        echo 'SOCKS_SERVR = socks.corp.example'
        block connectrc file
    } >"$CASE/complaint"
    install -o alice -g alice -m 600 "$CASE/complaint" /home/alice/.connectrc
    try "${AS[@]}" ssh shell.example.org "$ASK"
    want_status 0
    want_from guarded.corp.example
    [ "$(cat "$CASE/err")" = "$(block connectrc complaint)" ] || fail "stderr differs from the page"
}

connectrc_permissions() {
    home connectrc ssh
    MODE=644 put connectrc file .connectrc
    try "${AS[@]}" ssh shell.example.org "$ASK"
    want_status 0
    want_from guarded.corp.example
    want_line 'chmod 600 /home/alice/\.connectrc'
    want_secret_kept "$PROXY_PASSWORD"
}

# ---- location --------------------------------------------------------------------------------------------------

at() { # ADDRESS; gives this machine that address until the next `home`
    ip addr add "$1" dev lo label lo:place noprefixroute || fail "cannot add address $1"
}

location_at() { # ADDRESS SERVER NAME; direct if SERVER is empty
    home location ssh
    put location file .connectrc
    at "$1"
    # For a direct connection, this machine must be able to resolve the name.
    [ -n "$2" ] || cp "$WORK/beyond" /etc/hosts
    play location use
    want_status 0
    if [ -n "$2" ]; then
        want_from "$3"
    else
        grep -q '^I come from ' "$CASE/out" || fail "not reached"
        ! grep -Eq " (${ADDRESS[socks.corp.example]}|${ADDRESS[proxy.corp.example]}) " "$CASE/out" ||
            fail "reached through a proxy"
    fi
}

# Checks which Match conditions are met with and without a VPN, and for another port and host.
location_conditions() {
    home location ssh
    put location conditions .connectrc
    at 10.20.30.40/8
    play location use
    want_status 0
    want_from proxy.corp.example
    want_checked CONNECT_PROXY 2 -A shell.example.org 22
    ip link add tun0 type veth peer name tun1 || fail "cannot create interface tun0"
    ip link set tun0 up
    want_checked '' '' -A shell.example.org 22
    ip link del tun0
    want_checked '' '' -A shell.example.org 443
    home location ssh
    put location conditions .connectrc
    at 192.168.1.23/24
    play location use
    want_status 0
    want_from socks.corp.example
    want_checked '' '' -A www.example.org 22
}

# Expects --check to report this line of ~/.connectrc as the origin of NAME. If NAME is empty,
# expects no setting to come from the file.
want_checked() { # NAME LINE WORDS...
    local name=$1 line=$2
    shift 2
    try "${AS[@]}" connect -w 5 --check "$@"
    if [ -n "$name" ]; then
        grep -Eq "$name.* /home/alice/\.connectrc:$line" "$CASE/out" || fail "not from line $line: $(cat "$CASE/out")"
    else
        ! grep -Fq .connectrc "$CASE/out" || fail "from the file: $(cat "$CASE/out")"
    fi
}

location_complaint() {
    home location ssh
    block location file | sed 's|10.0.0.0/8|10.0.0.0/88|' >"$CASE/complaint"
    install -o alice -g alice -m 600 "$CASE/complaint" /home/alice/.connectrc
    at 192.168.1.23/24
    play location use
    want_status 0
    want_from socks.corp.example
    [ "$(cat "$CASE/err")" = "$(block location complaint)" ] || fail "stderr differs from the page"
}

# ---- passwords -------------------------------------------------------------------------------------------------

# Resets alice's home directory, and writes the page's `proxy` block and BLOCK to ~/.connectrc.
password_home() { # BLOCK
    home password ssh
    { block password proxy && block password "$1"; } >"$CASE/connectrc"
    install -o alice -g alice -m 600 "$CASE/connectrc" /home/alice/.connectrc
}

password_opens() {
    play password use
    want_status 0
    want_from guarded.corp.example
    want_quiet
    want_secret_kept "$PLAIN_PASSWORD"
}

password_from_file() {
    password_home file
    password_file "$PLAIN_PASSWORD"
    password_opens
}

password_from_command() {
    password_home command
    alice mkdir -m 700 .gnupg .secrets
    alice gpg --batch --quiet --passphrase '' --quick-gen-key alice@example.org default default never 2>/dev/null ||
        fail "cannot create a key for alice"
    printf '%s\n' "$PLAIN_PASSWORD" |
        alice gpg --batch --quiet --trust-model always -r alice@example.org -e -o .secrets/guarded.corp.example.gpg ||
        fail "cannot encrypt the password"
    password_opens
    alice gpgconf --kill gpg-agent
}

password_from_netrc() {
    password_home netrc
    block password netrc-file | sed "s/S3cret-proxy/$PLAIN_PASSWORD/" >"$CASE/netrc"
    install -o alice -g alice -m 600 "$CASE/netrc" /home/alice/.netrc
    password_opens
    # If the URL has no user name, connect takes it from ~/.netrc too.
    sed -i 's/alice@//' /home/alice/.connectrc
    password_opens
}

password_from_descriptor() {
    home
    password_file "$PLAIN_PASSWORD"
    block password descriptor >"$CASE/descriptor.sh"
    try "${AS[@]}" bash -eu "$CASE/descriptor.sh" < <(sleep 2)
    want_banner
    want_secret_kept "$PLAIN_PASSWORD"
}

# ---- local ports -----------------------------------------------------------------------------------------------

listening() { [ -n "$(ss -Htln "src $1")" ]; }

want_listening() { # ADDRESS:PORT
    poll 100 listening "$1" || fail "nothing listens on $1; stderr: $(cat "$CASE"/*.err)"
}

ended() { gone "$JOB"; }

same_project() { # DIRECTORY
    same "/home/alice/$1/file" "$WORK/tree/file"
    alice git -C "$1" fsck --full || fail "git fsck"
}

local_once() {
    local status
    home
    play_on local-port once
    want_listening 127.0.0.1:9418
    play local-port once-use
    want_status 0
    same_project project
    # With -p, connect exits when its client disconnects.
    poll 100 ended || fail "-p runs on after its client has left"
    status=0
    wait "$JOB" || status=$?
    want_status 0
    want_log socks "${ADDRESS[git.example.org]}:9418|git\.example\.org:9418"
}

local_listen() {
    home
    play_on local-port listen
    want_listening 127.0.0.1:9418
    play local-port listen-use
    want_status 0
    same_project first
    same_project second
    [[ $(stat -c %A-%U /home/alice/git.sock) == srw?------*alice ]] ||
        fail "the socket: $(stat -c %A-%U /home/alice/git.sock)"
    play_typing local-port socket '0032git-upload-pack /project\0000host=git.example.org\00000000'
    want_status 0
    grep -aq 'refs/heads/main' "$CASE/out" || fail "git's answer did not come through the socket"
    # With --listen, connect runs until a signal stops it, and then removes the socket.
    ! gone "$JOB" || fail "--listen ended on its own"
    kill "$(pgrep -u alice -x connect)"
    poll 100 ended || fail "--listen ignores SIGTERM"
    [ ! -e /home/alice/git.sock ] || fail "the socket is still there"
}

# Stops the listener that the page's block started.
local_proxy_stop() {
    ! gone "$JOB" || fail "the listener ended on its own: $(cat "$CASE"/*.err)"
    kill "$(pgrep -u alice -x connect)"
    poll 100 ended || fail "--listen ignores SIGTERM"
}

local_proxy() {
    home
    password_file "$PLAIN_PASSWORD"
    play_on local-proxy start
    want_listening 127.0.0.1:3128
    want_listening 127.0.0.1:1080
    play local-proxy http-use
    want_status 0
    same "$WORK/pub/file" /home/alice/pub/file
    play local-proxy socks-use
    want_log http-guarded 'opening connection to git\.example\.org:22'
    local_proxy_stop
}

local_proxy_rc() {
    home
    put local-proxy rc .connectrc
    play_on local-proxy rc-start
    want_listening 127.0.0.1:1080
    play local-proxy rc-use
    want_status 0
    want_log http 'CONNECT shell\.example\.org:22 '
    local_proxy_stop
}

local_proxy_open() {
    home
    play_on local-proxy open
    want_listening 0.0.0.0:1081
    play local-proxy open-use
    want_status 0
    try "${AS[@]}" ssh -o ProxyCommand='nc -X 5 -x localhost:1081 %h %p' build.corp.example true
    want_ssh_failed
    local_proxy_stop
}

local_keep() {
    home
    play_on local-port keep
    want_listening 127.0.0.1:2525
    PAUSE=1 play_typing local-port keep-client 'HELO client\r\n'
    want_status 0
    grep -q '^220 ' "$CASE/out" || fail "the first client has no greeting: $(cat "$CASE/out")"
    grep -q '^250 ' "$CASE/out" || fail "the first client's HELO was not answered: $(cat "$CASE/out")"
    PAUSE=1 play_typing local-port keep-client 'QUIT\r\n'
    want_status 0
    ! grep -q '^220 ' "$CASE/out" || fail "the second client has a session of its own"
    grep -q '^221 ' "$CASE/out" || fail "the second client's QUIT was not answered: $(cat "$CASE/out")"
    # When the server ends the session, connect exits too.
    poll 50 ended || fail "-P runs on after the server has ended the session"
    wait "$JOB" || fail "-P ended with exit status $?"
}

# ---- git -------------------------------------------------------------------------------------------------------

git_recipes() {
    home
    play git once
    want_status 0
    same_project project
    want_log socks "${ADDRESS[git.example.org]}:22|git\.example\.org:22"
    # Fetch a new branch, using only the repository's own configuration.
    git -c safe.directory='*' -C /home/git/project.git branch "new-$$"
    play git repository
    want_status 0
    alice git -C project rev-parse -q --verify "origin/new-$$" || fail "the new branch was not fetched"
}

git_github() {
    home git github
    play git github-use
    want_status 0
    same_project project
    want_log firewall 'CONNECT ssh\.github\.com:443 '
}

# ---- tokens.md -------------------------------------------------------------------------------------------------

# Prints the status with which the server of tokens.md answers a new tunnel with the token in FILE.
post_open() { # FILE
    local sid
    sid=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
    {
        # Version, OPEN, and a key of zeros; then the lengths of token and target, and the token.
        printf '\x01\x01' && head -c 34 /dev/zero
        local length
        length=$(tr -d '\n' <"$1" | wc -c)
        printf '%b' "$(printf '\\x%02x\\x%02x' $((length / 256)) $((length % 256)))"
        tr -d '\n' <"$1" && printf '\0\0'
    } >"$CASE/request"
    curl -s -o "$CASE/answer" -w '%{http_code}' --data-binary "@$CASE/request" \
        -H 'Content-Type: application/octet-stream' "http://localhost:8080/ssh/$sid"
}

tokens() {
    home
    play tokens key
    want_status 0
    [[ $(stat -c %A-%U /home/alice/hub.key) == -rw--------alice ]] || fail "hub.key: $(stat -c %A-%U /home/alice/hub.key)"
    play tokens token
    want_status 0
    play_on tokens start
    want_listening 127.0.0.1:8080
    [ "$(post_open /home/alice/jane.token)" = 200 ] || fail "the token was refused: $(cat "$CASE/answer")"
    play tokens rotate
    want_status 0
    alice connect --mint-token role=dest,session=ssh,aud=www.example,ttl=5m,sub=joe --signing-key new.key \
        >"$CASE/joe.token"
    accepts_joe() { [ "$(post_open "$CASE/joe.token")" = 200 ]; }
    poll 100 accepts_joe || fail "the token of the new key was refused: $(cat "$CASE/answer")"
    play tokens deny
    # shellcheck disable=SC2317 # `poll` calls it
    denies_jane() { [ "$(post_open /home/alice/jane.token)" = 403 ]; }
    poll 100 denies_jane || fail "the token was not denied"
    grep -q 'token denied' "$CASE/answer" || fail "the answer: $(cat "$CASE/answer")"
    accepts_joe || fail "the other token was denied: $(cat "$CASE/answer")"
    local_proxy_stop
}

# ---- websocket.md ----------------------------------------------------------------------------------------------

websocket() { # BLOCK
    home websocket "$1"
    play websocket key
    want_status 0
    play_on websocket start
    want_listening 127.0.0.1:8081
    # The listener's file and the client's are on the same machine here.
    install -o alice -g alice -m 600 /home/alice/token /home/alice/.ssh/token
    install -d -o alice -g alice /home/alice/.ssh
    install -o alice -g alice -m 600 "$WORK/sshd/user.pub" /home/alice/.ssh/authorized_keys
    head -c 64M /dev/urandom >"$CASE/big.tar"
    install -o alice -g alice "$CASE/big.tar" /home/alice/big.tar
    play websocket use
    want_status 0
    want_out 'I am in.'
    same "$CASE/big.tar" /home/alice/copy.tar
    same_project project
    want_log nginx 'GET /ssh HTTP/1\.1" 101'
    [ "$1" != ssh-proxy ] || want_log http 'CONNECT www\.example\.org:443 '
    # Without the token, nobody gets in.
    rm /home/alice/.ssh/token
    try "${AS[@]}" connect -x wss://www.example.org/ssh
    want_status 6
    want_err 'requires a token: Unauthorized: token missing'
    local_proxy_stop
}

# ---- relay.md --------------------------------------------------------------------------------------------------

relay() {
    local hub
    home relay ssh
    play relay key
    want_status 0
    install -o alice -g alice -m 600 "$WORK/etc/www.pem" /home/alice/cert.pem
    play_on relay hub
    hub=$JOB
    want_listening 0.0.0.0:8443
    play_on relay origin
    poll 100 grep -qx 'SOCKET_ID="lab1"; export SOCKET_ID;' "$CASE/origin.out" ||
        fail "the origin is not registered: $(cat "$CASE"/*.err)"
    install -d -o alice -g alice /home/alice/.ssh
    install -o alice -g alice -m 600 /home/alice/lab1.token /home/alice/.ssh/lab1.token
    install -o alice -g alice -m 600 "$WORK/sshd/user.pub" /home/alice/.ssh/authorized_keys
    head -c 64M /dev/urandom >"$CASE/big.tar"
    install -o alice -g alice "$CASE/big.tar" /home/alice/big.tar
    play relay use
    want_status 0
    want_out 'I am in.'
    same "$CASE/big.tar" /home/alice/copy.tar
    # SIGTERM ends both, the hub without waiting because no connection is open.
    end_job
    JOB=$hub
    end_job
}

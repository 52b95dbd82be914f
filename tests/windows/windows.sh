# shellcheck shell=bash
# What is asked of the program on Windows, through the .exe.

topic_windows() {
    start_targets
    check direct direct
    check binary/both-ways binary
    check bulk/down bulk_down
    check bulk/up bulk_up
    check bulk/both-ways bulk_both
    check socks4a through danted -4 -R remote -S "127.0.0.1:${PORT[danted]}"
    check socks5-userpass through microsocks-user -S "$USER_NAME:$PLAIN_PASSWORD@127.0.0.1:${PORT[microsocks-user]}"
    check socks5-userpass/wrong wrong_password -S "$USER_NAME:$WRONG_PASSWORD@127.0.0.1:${PORT[microsocks-user]}"
    check http-basic through tinyproxy-user -H "$USER_NAME:$PLAIN_PASSWORD@127.0.0.1:${PORT[tinyproxy-user]}"
    check http-basic/wrong wrong_password -H "$USER_NAME:$WRONG_PASSWORD@127.0.0.1:${PORT[tinyproxy-user]}"
    check eof/local-half-closes local_eof
    check eof/remote-ends-it-although-stdin-is-open remote_eof
    check eof/all-is-delivered-to-a-slow-reader slow_reader
    check pipes/both-ways windows_pipes
    check pipes/local-eof-half-closes windows_pipes_local_eof
    check pipes/remote-eof-ends-it-although-stdin-is-open windows_pipes_remote_eof
    check pipes/slow-reader windows_pipes_slow
    check pipes/reader-gone windows_pipes_gone
    check pipes/reader-gone-from-the-start windows_pipes_deaf
    check handles/null-stdin no_stdin null-in
    check handles/invalid-stdin no_stdin invalid-in
    check handles/null-stdout no_stdout null-out
    check handles/invalid-stdout no_stdout invalid-out
    check handles/file-as-stdin file_as_stdin
    check full-disk full_disk
    check idle/open idle_open
    check idle/remote-half-closed-and-takes-nothing idle_half_closed
    check listen/port one_client
    check listen/port-is-free-again port_again
    check listen/port-taken port_taken
    check listen/many many_clients
    check askpass askpass
    check askpass/missing askpass_missing
    check user system_user
    check home/userprofile rc_file
    check home/HOME-comes-first rc_file_in_home
    check home/no-file-for-everybody no_system_file
    check variables/web-client web_client
    check name/connect-25 name_gives_port
    check service-name service_name
    check console/password console_password
    check console/no-console no_console
    check console/ctrl-c-restores-the-echo console_ctrl_c
    check codes/version version
    check codes/usage code 2 '[-]S' -S
    check codes/name code 3 'nowhere\.invalid' nowhere.invalid 22
    check codes/refused code 4 'refused' 127.0.0.1 "$CLOSED"
    check codes/proxy-refuses code 5 'refused' -S "$USER_NAME:$PLAIN_PASSWORD@127.0.0.1:${PORT[microsocks-user]}" \
        127.0.0.1 "$CLOSED"
    check codes/time-out code 7 'timed out' -w 1 -S "127.0.0.1:${PORT[record]}" 127.0.0.1 22
    check codes/unix-socket code 4 'not supported' unix:/nowhere
}

# ---- sessions --------------------------------------------------------------------------------------------------

feed() { # TEXT COMMAND...: TEXT is its stdin
    local text=$1
    shift
    printf '%s' "$text" >"$CASE/in"
    try "$@" <"$CASE/in"
}

# A stdin that stays open, as a user's or ssh's, with TEXT in it if there is any. Also for what goes through microsocks,
# which ends a session as soon as either side half-closes.
hold() { hold_after '' "$@"; }
hold_after() { # TEXT COMMAND...
    local held text=$1
    shift
    mkfifo "$CASE/held"
    exec {held}<>"$CASE/held"
    printf '%s' "$text" >&"$held"
    try "$@" <&"$held"
    exec {held}>&-
    rm "$CASE/held"
}

want_silence() {
    [ ! -s "$CASE/err" ] || fail "stderr not empty"
}

direct() {
    feed 'ping' "$CONNECT" 127.0.0.1 "${PORT[echo]}"
    want_status 0
    want_silence
    want_out ping
}

through() { # SERVER OPTION...
    local server=$1
    shift
    hold_after $'ping\n' "$CONNECT" "$@" 127.0.0.1 "${PORT[line]}"
    want_status 0
    want_silence
    want_out ping
    want_log "$server" "${PORT[line]}"
}

wrong_password() { # OPTION...
    feed 'ping' "$CONNECT" "$@" 127.0.0.1 "${PORT[echo]}"
    want_status 6
    want_nothing_out
    want_line "${2##*@}"
    want_secret_kept "$WRONG_PASSWORD"
}

# The first bytes of the blob are those that a text mode would change: line ends, NUL, and Ctrl-Z, which ends a text.
binary() {
    head -c 4096 "$WORK/blob" >"$CASE/in"
    try "$CONNECT" 127.0.0.1 "${PORT[echo]}" <"$CASE/in"
    want_status 0
    want_silence
    same "$CASE/in" "$CASE/out"
}

bulk_down() {
    hold "$CONNECT" 127.0.0.1 "${PORT[blob]}"
    want_status 0
    want_silence
    same "$WORK/blob" "$CASE/out"
}

bulk_up() {
    try "$CONNECT" 127.0.0.1 "${PORT[digest]}" <"$WORK/blob"
    want_status 0
    want_silence
    want_out "$(sha256sum <"$WORK/blob")"
}

bulk_both() {
    try "$CONNECT" 127.0.0.1 "${PORT[echo]}" <"$WORK/blob"
    want_status 0
    want_silence
    same "$WORK/blob" "$CASE/out"
}

# The digest comes only when the target has seen the end of its input.
local_eof() {
    feed 'to the end' "$CONNECT" 127.0.0.1 "${PORT[digest]}"
    want_status 0
    want_silence
    want_out "$(printf 'to the end' | sha256sum)"
}

remote_eof() {
    LIMIT=20
    hold "$CONNECT" 127.0.0.1 "${PORT[greeting]}"
    want_status 0
    want_silence
    want_out hello
}

# The remote has long closed when the reader begins: what stands in every buffer must come, and then exit status 0.
slow_reader() {
    # The quotes are for the inner shell.
    # shellcheck disable=SC2016
    hold sh -c '{ "$@"; echo $? >"$0/status"; } | { sleep 2; cat; }' "$CASE" "$CONNECT" 127.0.0.1 "${PORT[blob]}"
    [ "$(cat "$CASE/status")" = 0 ] || fail "exit status $(cat "$CASE/status")"
    want_silence
    same "$WORK/blob" "$CASE/out"
}

# ---- Windows' own pipes and handles; outside wine a shell gives those of Unix ------------------------------------

windows_pipes() {
    try "${LAUNCH[@]}" pipes "$WORK/bin/connect.exe" 127.0.0.1 "${PORT[echo]}" <"$WORK/blob"
    want_status 0
    want_silence
    same "$WORK/blob" "$CASE/out"
}

windows_pipes_local_eof() {
    feed 'to the end' "${LAUNCH[@]}" pipes "$WORK/bin/connect.exe" 127.0.0.1 "${PORT[digest]}"
    want_status 0
    want_silence
    want_out "$(printf 'to the end' | sha256sum)"
}

windows_pipes_remote_eof() {
    LIMIT=20
    hold "${LAUNCH[@]}" pipes "$WORK/bin/connect.exe" 127.0.0.1 "${PORT[greeting]}"
    want_status 0
    want_silence
    want_out hello
}

windows_pipes_slow() {
    hold "${LAUNCH[@]}" slow "$WORK/bin/connect.exe" 127.0.0.1 "${PORT[blob]}"
    want_status 0
    want_silence
    same "$WORK/blob" "$CASE/out"
}

windows_pipes_gone() {
    LIMIT=20
    hold "${LAUNCH[@]}" gone "$WORK/bin/connect.exe" 127.0.0.1 "${PORT[blob]}"
    want_status 8
    want_silence
}

# All is written to the thread before that learns that nobody reads it.
windows_pipes_deaf() {
    LIMIT=20
    hold "${LAUNCH[@]}" deaf "$WORK/bin/connect.exe" 127.0.0.1 "${PORT[greeting]}"
    want_status 8
    want_silence
}

no_stdin() { # MODE; it is at its end, which the target sees
    LIMIT=20
    hold "${LAUNCH[@]}" "$1" "$WORK/bin/connect.exe" 127.0.0.1 "${PORT[digest]}"
    want_status 0
    want_silence
    want_out "$(sha256sum </dev/null)"
}

no_stdout() { # MODE
    hold "${LAUNCH[@]}" "$1" "$WORK/bin/connect.exe" 127.0.0.1 "${PORT[greeting]}"
    want_status 8
    want_nothing_out
    want_line 'standard output'
}

file_as_stdin() {
    try "$CONNECT" 127.0.0.1 "${PORT[echo]}" <"$HERE/launch.c"
    want_status 0
    same "$HERE/launch.c" "$CASE/out"
}

# The thread that writes it knows why; the relay must not take it for a reader that left, which is quiet.
full_disk() {
    # The quotes are for the inner shell.
    # shellcheck disable=SC2016
    hold sh -c 'exec "$0" "$@" >/dev/full' "$CONNECT" 127.0.0.1 "${PORT[blob]}"
    want_status 8
    want_line 'standard output.*(disk full|no space|not enough space)'
}

# ---- nothing to do ---------------------------------------------------------------------------------------------

# Processor time of a command and its children, in milliseconds; sets SPENT. A loop that spins uses all of the time.
spend() { # COMMAND...
    local TIMEFORMAT='%U %S'
    { time "$@" >&3 2>&4; } 3>&1 4>&2 2>"$CASE/time"
    SPENT=$(awk '{ printf "%d", ($1 + $2) * 1000 }' "$CASE/time")
    printf 'processor: %s ms\n' "$SPENT"
}

idle_open() {
    spend hold "$CONNECT" 127.0.0.1 "${PORT[pause]}"
    want_status 0
    [ "$SPENT" -lt 400 ] || fail "three idle seconds took $SPENT ms of processor time"
}

# The hang-up is there all the time, and what is to be sent cannot go.
idle_half_closed() {
    head -c 20000000 "$WORK/blob" >"$CASE/in"
    spend try "$CONNECT" 127.0.0.1 "${PORT[stubborn]}" <"$CASE/in"
    want_status 0
    [ "$SPENT" -lt 1200 ] || fail "three idle seconds took $SPENT ms of processor time"
    poll 50 test -s "$WORK/stubborn" || fail "the remote got nothing"
    [ "$(cat "$WORK/stubborn")" = "$(sha256sum <"$CASE/in")" ] || fail "not all has arrived"
}

# ---- listening -------------------------------------------------------------------------------------------------

listens() { # PORT
    [ -n "$(ss -Htln "sport = :$1")" ]
}

# Starts the program in the background and waits until it listens on $FREE; sets LISTENER.
listen() { # COMMAND...
    timeout -k 5 "$LIMIT" "$@" >"$CASE/out" 2>"$CASE/err" </dev/null &
    LISTENER=$!
    poll 100 listens "$FREE" || fail "it does not listen on $FREE: $(cat "$CASE/err")"
}

client() { # TEXT
    printf '%s' "$1" | timeout 20 socat -t 20 - "TCP:127.0.0.1:$FREE"
}

want_ended() {
    status=0
    wait "$LISTENER" || status=$?
    want_status 0
    [ ! -s "$CASE/err" ] || fail "stderr not empty: $(cat "$CASE/err")"
}

# One session; stdin from /dev/null ends nothing, and half-closes pass both ways.
one_client() {
    free_port
    listen "$CONNECT" -p "$FREE" 127.0.0.1 "${PORT[digest]}"
    [ "$(client 'to the end')" = "$(printf 'to the end' | sha256sum)" ] || fail "the client got something else"
    want_ended
    ! listens "$FREE" || fail "it still listens"
}

port_again() {
    free_port
    listen "$CONNECT" -p "$FREE" 127.0.0.1 "${PORT[greeting]}"
    [ "$(client '')" = hello ] || fail "the client got something else"
    want_ended
    listen "$CONNECT" -p "$FREE" 127.0.0.1 "${PORT[greeting]}"
    [ "$(client '')" = hello ] || fail "the second client got something else"
    want_ended
}

port_taken() {
    try "$CONNECT" -p "${PORT[echo]}" 127.0.0.1 "${PORT[greeting]}"
    want_status 1
    want_line "${PORT[echo]}"
}

# A tunnel for each client, at the same time, until the listener is stopped; a failed one stops nobody.
many_clients() {
    local number pids=()
    free_port
    listen "$CONNECT" --listen "$FREE" 127.0.0.1 "${PORT[digest]}"
    for number in 1 2 3 4 5 6 7 8; do
        client "$number" >"$CASE/client-$number" &
        pids+=($!)
    done
    wait "${pids[@]}"
    for number in 1 2 3 4 5 6 7 8; do
        [ "$(cat "$CASE/client-$number")" = "$(printf %s "$number" | sha256sum)" ] || fail "client $number got something else"
    done
    ! gone "$LISTENER" || fail "the listener has ended"
    kill "$LISTENER"
    wait "$LISTENER"
    poll 100 not listens "$FREE" || fail "it still listens after its end"
    [ ! -s "$CASE/err" ] || fail "stderr not empty: $(cat "$CASE/err")"
}

not() { ! "$@"; }

# ---- who and where ---------------------------------------------------------------------------------------------

# A path with slashes, as Git for Windows' shells write it.
askpass() {
    hold env DISPLAY=none SSH_ASKPASS="Z:$WORK/bin/askpass.exe" ASKPASS_SAYS="$PLAIN_PASSWORD" \
        ASKPASS_PROMPT="Z:$CASE/prompt" "$CONNECT" -S "$USER_NAME@127.0.0.1:${PORT[microsocks-user]}" \
        127.0.0.1 "${PORT[greeting]}"
    want_status 0
    want_silence
    want_out hello
    [ "$(cat "$CASE/prompt")" = "Enter SOCKS5 password for $USER_NAME@127.0.0.1: " ] || fail "the prompt is '$(cat "$CASE/prompt")'"
}

askpass_missing() {
    try env DISPLAY=none SSH_ASKPASS="Z:$WORK/bin/no-askpass.exe" "$CONNECT" \
        -S "$USER_NAME@127.0.0.1:${PORT[microsocks-user]}" 127.0.0.1 "${PORT[greeting]}"
    want_status 6
    want_line 'no-askpass'
}

recorded_request() { [ "$(head -c 1 "$WORK/recorded" | od -An -tx1)" = ' 04' ] && tail -c 1 "$WORK/recorded" | cmp -s - <(printf '\0'); }

# What SOCKS4 sends is the user that wine runs programs as.
system_user() {
    : >"$WORK/recorded"
    try env USERNAME=somebody-else "$CONNECT" -w 2 -4 -S "127.0.0.1:${PORT[record]}" 192.0.2.1 22
    want_status 7
    poll 50 recorded_request || fail "no request came: $(od -An -tx1 "$WORK/recorded")"
    cmp "$WORK/recorded" <(printf '\004\001\000\026\300\000\002\001winner\000') || fail "another request"
}

rc_file() {
    local home=$WINEPREFIX/drive_c/users/winner
    [ -d "$home" ] || fail "wine has no profile directory $home"
    printf 'SOCKS5_SERVER = %s\r\n' "127.0.0.1:${PORT[microsocks-user]}" >"$home/.connectrc"
    hold env SOCKS5_USER="$USER_NAME" SOCKS5_PASSWORD="$PLAIN_PASSWORD" "$CONNECT" -s 127.0.0.1 "${PORT[greeting]}"
    rm "$home/.connectrc"
    want_status 0
    want_silence
    want_out hello
    try "$CONNECT" -s 127.0.0.1 "${PORT[greeting]}"
    want_status 2
}

# wine keeps HOME to itself; Git for Windows' shells set it.
rc_file_in_home() {
    mkdir "$CASE/home"
    printf 'SOCKS5_SERVER = %s' "127.0.0.1:${PORT[microsocks-user]}" >"$CASE/home/.connectrc"
    hold env SOCKS5_USER="$USER_NAME" SOCKS5_PASSWORD="$PLAIN_PASSWORD" "${LAUNCH[@]}" "HOME=Z:$CASE/home" pipes \
        "$WORK/bin/connect.exe" -s 127.0.0.1 "${PORT[greeting]}"
    want_status 0
    want_silence
    want_out hello
}

# Whoever may make a folder on the drive would choose everybody's proxy and askpass program. The trace names each file
# that is looked for; wine itself looks for /etc outside.
no_system_file() {
    try "$CONNECT" -d -s 127.0.0.1 22
    want_status 2
    grep -Fq '.connectrc: ' "$CASE/err" || fail "the user's file is not looked for"
    ! grep -Fq 'etc' "$CASE/err" || fail "a file for everybody is looked for"
}

# Under CGI, what a web client sent as its header "Proxy" is a variable, which has all spellings here.
web_client() {
    local name
    for name in HTTP_PROXY http_proxy Http_Proxy; do
        env "$name=127.0.0.1:$CLOSED" "$CONNECT" -w 2 -h 127.0.0.1 22 >/dev/null 2>&1 </dev/null
        [ $? -eq 4 ] || fail "$name is not looked at"
        try env REQUEST_METHOD=GET "$name=127.0.0.1:$CLOSED" "$CONNECT" -w 2 -h 127.0.0.1 22
        want_status 2
        want_line 'name one there, or with -H'
    done
    try env REQUEST_METHOD=GET "Https_Proxy=127.0.0.1:$CLOSED" "$CONNECT" -w 2 -h 127.0.0.1 22
    want_status 4
    want_line "HTTP proxy 127.0.0.1:$CLOSED"
}

name_gives_port() {
    ln -sf "$WORK/bin/connect.exe" "$WORK/named/connect-${PORT[greeting]}.exe"
    hold "$WINE" "$WORK/named/connect-${PORT[greeting]}.exe" 127.0.0.1
    want_status 0
    want_out hello
    ln -sf "$WORK/bin/connect.exe" "$WORK/named/connect-25.exe"
    try "$WINE" "$WORK/named/connect-25.exe" -d -w 2 -H "127.0.0.1:$CLOSED" 127.0.0.1
    want_status 4
    grep -q '^DEBUG: dest_port=25' "$CASE/err" || fail "the name does not give the port"
}

service_name() {
    try "$CONNECT" -d -w 2 -H "127.0.0.1:$CLOSED" host.example imaps
    want_status 4
    grep -q '^DEBUG: dest_port=993' "$CASE/err" || fail "the service name does not give the port"
}

# ---- words and codes -------------------------------------------------------------------------------------------

version() {
    try "$CONNECT" --version
    want_status 0
    want_silence
    grep -Eqx 'connect [0-9.]+' "$CASE/out" || fail "no version on stdout"
    # A text of ours ends its lines as everywhere: scripts read it.
    ! grep -q $'\r' "$CASE/out" || fail "a carriage return in the text"
}

code() { # CODE REGEX ARGUMENT...
    local code=$1 regex=$2
    shift 2
    try "$CONNECT" "$@" </dev/null
    want_status "$code"
    want_nothing_out
    want_line "$regex"
}

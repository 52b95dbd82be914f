# shellcheck shell=bash
# Checks for docs/switching.md. Runs both commands of each table row, and compares the requests that
# they send, which are recorded in front of the proxies. Also runs ssh with the ~/.ssh/config blocks
# from before and after the switch.

switching_programs() {
    need_programs <<-END
		connect-proxy connect-proxy
		corkscrew corkscrew
		proxytunnel proxytunnel
		nc.openbsd netcat-openbsd
		ncat ncat
	END
}

all_switching() {
    local program
    start_recorders
    for program in c corkscrew proxytunnel nc ncat; do
        check "switching/$program-config" switching_config "$program"
    done
    for program in connect-proxy corkscrew proxytunnel nc ncat; do
        check "switching/$program" switching_table "$program"
    done
    check switching/every-line-is-read switching_lines
}

# ---- the configuration, before and after -----------------------------------------------------------------------

switching_config() { # PROGRAM
    local when proxy
    proxy=$(block ../switching "$1-after" | grep -o '[a-z]*\.corp\.example')
    for when in before after; do
        home ../switching "$1-$when"
        try "${AS[@]}" ssh shell.example.org "$ASK"
        want_status 0
        want_from "$proxy"
    done
}

# ---- recording proxies -----------------------------------------------------------------------------------------

start_recorders() {
    mkdir "$WORK/recorded"
    # The page means OpenBSD's netcat, but `nc` may be a different netcat, depending on the
    # installed packages.
    ln -s "$(type -P nc.openbsd)" "$WORK/bin/nc"
    cat >"$WORK/telnet-proxy" <<-'END'
		#!/bin/sh
		read -r verb host port
		port=$(printf %s "$port" | tr -d '\r')
		echo "$verb: Connected to $host."
		exec socat - "TCP4:$host:$port"
	END
    chmod 755 "$WORK/telnet-proxy"
    serve recorded-socks setup_recorder_socks 1080
    serve recorded-socks-guarded setup_recorder_socks_guarded 1080
    serve recorded-socks4 setup_recorder_socks4 1080
    serve recorded-http setup_recorder_http 8080
    serve recorded-http-3128 setup_recorder_http 3128
    serve recorded-http-guarded setup_recorder_http_guarded 8080
    serve second setup_second 8080
    serve recorded-telnet setup_recorder_telnet 23
    serve recorded-tls setup_recorder_tls 443
}

recorder() { # NAME PORT SOCAT-ADDRESS
    CMD=(socat -r "$WORK/recorded/$1-$2" "TCP4-LISTEN:$2,bind=${ADDRESS[$1]},reuseaddr,fork" "$3")
}

setup_recorder_socks() { recorder recorded "$1" "TCP4:${ADDRESS[socks.corp.example]}:1080"; }
setup_recorder_socks_guarded() { recorder recorded-guarded "$1" "TCP4:${ADDRESS[guarded.corp.example]}:1080"; }
setup_recorder_socks4() { recorder recorded-socks4 "$1" "TCP4:${ADDRESS[socks4.corp.example]}:1080"; }
setup_recorder_http() { recorder recorded "$1" "TCP4:${ADDRESS[proxy.corp.example]}:8080"; }
setup_recorder_http_guarded() { recorder recorded-guarded "$1" "TCP4:${ADDRESS[guarded.corp.example]}:8080"; }
setup_recorder_telnet() { recorder recorded "$1" "EXEC:$WORK/telnet-proxy" && beyond; }

# Sets up a second proxy, so that no chain has to tunnel from a proxy to itself.
setup_second() { http_proxy_at "$1" second.corp.example; }

# Sets up TLS in front of both HTTP proxies, with a certificate from the CA that also issued
# proxy.corp.example's.
setup_recorder_tls() {
    local dir=$WORK/etc
    openssl req -x509 -CA "$dir/proxy-authority.pem" -CAkey "$dir/proxy-authority.key" -newkey ec -nodes -days 2 \
        -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=recorded -addext subjectAltName=DNS:recorded,DNS:second.corp.example \
        -addext basicConstraints=CA:FALSE -keyout "$dir/recorded.key" -out "$dir/recorded.pem" 2>/dev/null ||
        die "cannot create the certificate"
    printf '%s\n' 'foreground = yes' 'pid =' 'syslog = no' '[recorded]' "accept = ${ADDRESS[recorded]}:$1" \
        "connect = ${ADDRESS[recorded]}:8080" "cert = $dir/recorded.pem" "key = $dir/recorded.key" \
        '[second]' "accept = ${ADDRESS[second.corp.example]}:$1" "connect = ${ADDRESS[second.corp.example]}:8080" \
        "cert = $dir/recorded.pem" "key = $dir/recorded.key" >"$WORK/recorded.conf"
    CMD=(stunnel4 "$WORK/recorded.conf")
}

# ---- the tables ------------------------------------------------------------------------------------------------

# Prints the table rows that begin with a command, as THEIRS<TAB>OURS<TAB>COMMENT.
rows() { # [PROGRAM]; all programs by default
    awk -v "program=${1:-}" -F ' \\| ' '
        /^\| [a-z-]+ \| connect \| / { on = !program || $0 ~ "^\\| " program " " }
        !/^\|/ { on = 0 }
        on && /^\| `.*` \| `.*` \| .* \|$/ {
            gsub(/^\| `|`$/, "", $1); gsub(/^`|`$/, "", $2); sub(/ \|$/, "", $3)
            print $1 "\t" $2 "\t" $3
        }' "$PAGES/../switching.md"
}

# Checks that `rows` skips no table row.
switching_lines() {
    local lines tables
    lines=$(grep -c '^|' "$PAGES/../switching.md")
    tables=$(grep -c '^|---' "$PAGES/../switching.md")
    # Each table has two header lines.
    [ "$(rows | wc -l)" -eq $((lines - 2 * tables)) ] || fail "$(rows | wc -l) of $((lines - 2 * tables)) rows were read"
    [ "$(rows | wc -l)" -gt 55 ] || fail "only $(rows | wc -l) rows"
}

switching_table() { # PROGRAM
    local theirs ours words above='' number=0 LOCAL=2200
    home
    install -o alice -g alice -m 644 "$WORK/etc/proxy-authority.pem" /home/alice/FILE.pem
    while IFS=$'\t' read -r -u 3 theirs ours words; do
        number=$((number + 1))
        printf 'line %s: %s\n     and %s: %s\n' "$number" "$theirs" "$ours" "$words"
        [[ $words != 'as above'* ]] || words=$above
        above=$words
        credentials_file "$theirs"
        reach theirs "$theirs" "$theirs"
        reach ours "$ours" "$theirs"
        compare "$words"
    done 3< <(rows "$1")
    [ "$number" -gt 0 ] || fail "no rows for $1"
}

# Writes the password file in the other program's format.
credentials_file() { # WORDS
    case $1 in
    corkscrew*) printf 'alice:%s\n' "$PLAIN_PASSWORD" ;;
    proxytunnel*) printf 'proxy_user = alice\nproxy_passwd = %s\n' "$PLAIN_PASSWORD" ;;
    esac >/home/alice/FILE
    chown alice: /home/alice/FILE
    chmod 600 /home/alice/FILE
}

# Replaces the page's placeholders with this suite's hosts, ports and credentials. The other
# program's arguments determine the proxy for both programs.
fill_in() { # WORDS THEIRS
    local password=$PLAIN_PASSWORD proxy=recorded second=second.corp.example host=shell.example.org
    case $2 in
    *-X\ 4* | *connect-proxy\ -4* | *socks4*) proxy=recorded-socks4 ;;
    *-R\ USER*) second=guarded.corp.example ;;
    *USER* | *FILE\ * | *FILE) proxy=recorded-guarded ;;
    esac
    [[ $2 != *PROXY:1080* ]] || password=$PROXY_PASSWORD
    # Programs that look up the target need a name that this machine can resolve.
    [[ $2 == *PROXY* && $2 != *local* && $2 != *-X\ 4* ]] || host=build.corp.example
    sed -E "s/\bPROXY\b/$proxy/g; s/\bSECOND\b/$second/g; s/\bHOST\b/$host/g; s/\bPORT\b/22/g; s/\bLOCAL\b/$LOCAL/g
        s/\bUSER\b/alice/g; s/\bPASSWORD\b/$password/g; s|\bPATH\b|$WORK/socket|g" <<<"$1"
}

# Runs a command until it prints the host's greeting, and saves the requests that it sent to the
# proxies in $CASE/NAME.sent.
reach() { # NAME WORDS THEIRS
    local name=$1 words file pid status=0
    local -A before=()
    # Use a new port, because the previous one may not be free right after its program exits.
    LOCAL=$((LOCAL + 1))
    words=$(fill_in "$2" "$3")
    : >"$CASE/$name.out"
    rm -f "$CASE/hold"
    mkfifo "$CASE/hold"
    exec {HOLD}<>"$CASE/hold"
    for file in "$WORK"/recorded/*; do
        before[$file]=$(stat -c %s "$file")
    done
    [[ $2 != *PATH* ]] || setsid socat "UNIX-LISTEN:$WORK/socket,mode=666,unlink-early" \
        "TCP4:${ADDRESS[build.corp.example]}:22" &
    [[ $2 != *PATH* ]] || poll 50 [ -S "$WORK/socket" ] || fail "no socket"
    case $2 in
    # -F needs an ssh process to receive the connection.
    *\ -F\ -*) words="ssh -o ProxyUseFdpass=yes -o 'ProxyCommand=$words' alice@shell.example.org 'echo SSH-2.0-'" ;;
    esac
    # Send a banner as ssh does. Without it, proxytunnel may wait forever for data that its TLS
    # library has already decrypted.
    [[ $2 == *LOCAL* ]] || printf 'SSH-2.0-probe\r\n' >&"$HOLD"
    "${AS[@]}" sh -c "$words" <&"$HOLD" >"$CASE/$name.out" 2>"$CASE/$name.err" &
    pid=$!
    if [[ $2 == *LOCAL* ]]; then
        poll 100 taken "$LOCAL" || fail "$words: no local port"
        socat -u "TCP4:127.0.0.1:$LOCAL" - <&"$HOLD" >"$CASE/$name.out" &
    fi
    poll 100 reached "$CASE/$name.out" "$pid" || true
    grep -aq '^SSH-2\.0-' "$CASE/$name.out" || {
        cat -v "$WORK/recorded/"* | tail -c 300
        fail "$words: no greeting; $(cat "$CASE/$name.err")"
    }
    kill -- "-$pid" 2>/dev/null
    wait "$pid"
    exec {HOLD}>&-
    for file in "$WORK"/recorded/*; do
        tail -c "+$((${before[$file]} + 1))" "$file"
    done >"$CASE/$name.sent"
    # Keep only the requests: remove the session's data, which begins with the banner.
    LC_ALL=C sed -i '/SSH-2\.0-/ { s/SSH-2\.0-.*//; q }' "$CASE/$name.sent"
}

taken() { [ -n "$(ss -Htln "sport = :$1")" ]; }

reached() { # FILE PID
    grep -aq '^SSH-2\.0-' "$1" || gone "$2"
}

show() { cat -v "$CASE/$1.sent" | tr '\n' ' '; }

compare() { # COMMENT
    printf '     sent there: %s\n     sent here:  %s\n' "$(show theirs)" "$(show ours)"
    local file words=$1
    for file in theirs ours; do
        if [[ $words == 'no proxy'* ]]; then
            [ ! -s "$CASE/$file.sent" ] || fail "$file contacted a proxy"
        else
            [ -s "$CASE/$file.sent" ] || fail "$file contacted no proxy"
        fi
    done
    case $words in
    'no proxy'* | 'the same'*) same "$CASE/theirs.sent" "$CASE/ours.sent" ;;
    *) ! cmp -s "$CASE/theirs.sent" "$CASE/ours.sent" || fail "the requests are equal, but the row says: $words" ;;
    esac
    [[ $words != *HTTP/1.1* ]] || grep -aq 'HTTP/1\.1' "$CASE/ours.sent" || fail "connect does not send HTTP/1.1"
    [[ $words != *'1.0'* ]] || grep -aq 'HTTP/1\.0' "$CASE/theirs.sent" || fail "the other program does not send HTTP/1.0"
}

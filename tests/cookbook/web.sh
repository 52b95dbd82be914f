# shellcheck shell=bash
# Checks for ssh through web servers: POST tunnels and WebSocket connections.

all_web() {
    check web-server/lighttpd web_server setup_web_lighttpd
    check web-server/nginx web_server setup_web_nginx
    check web-server/apache-event web_server setup_web_apache_event
    check web-server/apache-prefork web_server setup_web_apache_prefork
    check web-server/proxy web_server_proxy
    check web-server/port web_server_port
    check web-server/unit web_server_unit
    check websocket/apache websocket_through setup_web_apache_event
    check websocket/haproxy websocket_through setup_web_haproxy
    check websocket/websockify websocket_websockify
}

web_programs() {
    need_programs <<-END
		apache2 apache2-bin
		lighttpd lighttpd
		websockify websockify
	END
    [ -e /usr/lib/lighttpd/mod_openssl.so ] || die "install the Debian package lighttpd-mod-openssl"
}

# ---- web servers -----------------------------------------------------------------------------------------------

# The web servers run as this user.
WEB_USER=www-data

setup_web_lighttpd() { # PORT
    mkdir -p "$CASE/pages"
    {
        printf '%s\n' "server.port = $1" "server.bind = \"${ADDRESS[www.example.org]}\"" \
            "server.document-root = \"$CASE/pages\"" "server.username = \"$WEB_USER\"" \
            'server.modules += ( "mod_openssl" )' 'ssl.engine = "enable"' \
            "ssl.pemfile = \"$WORK/etc/www.pem\""
        block web-server lighttpd
    } >"$CASE/web.conf"
    CMD=(lighttpd -D -f "$CASE/web.conf")
}

setup_web_nginx() { # PORT
    local temporary
    {
        printf '%s\n' 'daemon off;' "user $WEB_USER;" "pid $CASE/pid;" 'events { }' 'http {' 'access_log off;'
        for temporary in client_body proxy scgi fastcgi uwsgi; do
            echo "${temporary}_temp_path $CASE/$temporary;"
        done
        printf '%s\n' 'server {' "listen ${ADDRESS[www.example.org]}:$1 ssl;" \
            "ssl_certificate $WORK/etc/www.pem;" "ssl_certificate_key $WORK/etc/www.pem;"
        block web-server nginx | sed 's|scgi_params|/etc/nginx/scgi_params|'
        printf '} }\n'
    } >"$CASE/web.conf"
    # nginx creates its directories for temporary files in this one.
    chmod 711 "$CASE"
    CMD=(nginx -e stderr -c "$CASE/web.conf")
}

setup_web_apache_event() { web_apache event "$1"; }
setup_web_apache_prefork() { web_apache prefork "$1"; }

web_apache() { # MODEL PORT
    local module
    {
        for module in "mpm_$1" authz_core proxy proxy_scgi proxy_wstunnel ssl; do
            echo "LoadModule ${module}_module /usr/lib/apache2/modules/mod_$module.so"
        done
        printf '%s\n' "ServerRoot $CASE" "DefaultRuntimeDir $CASE" "PidFile $CASE/pid" 'ServerName www.example.org' \
            "User $WEB_USER" "Group $WEB_USER" 'ErrorLog /dev/stderr' "Listen ${ADDRESS[www.example.org]}:$2" \
            '<VirtualHost *>' 'SSLEngine on' "SSLCertificateFile $WORK/etc/www.pem"
        block web-server apache
        block websocket apache
        echo '</VirtualHost>'
    } >"$CASE/web.conf"
    CMD=(apache2 -D FOREGROUND -f "$CASE/web.conf")
}

setup_web_haproxy() { # PORT
    {
        printf '%s\n' 'defaults' 'mode http' 'timeout http-request 10s' 'timeout connect 10s' 'timeout client 60s' \
            'timeout server 60s' 'frontend www' "bind ${ADDRESS[www.example.org]}:$1 ssl crt $WORK/etc/www.pem"
        block websocket haproxy
    } >"$CASE/web.conf"
    CMD=(haproxy -db -f "$CASE/web.conf")
}

# Starts a web server for this check, and stops it and the page's listeners at the end. It has the
# certificate of the nginx in `world.sh`, which occupies port 443.
web() { # SETUP
    serve web "$1" 8443
    trap 'stop web; pkill -TERM -u alice -x connect' EXIT
}

# Puts the page's configuration for ssh, with the port of the web server.
put_ssh_config() { # PAGE NAME
    block "$1" "$2" | sed 's|post+https://www.example.org|&:8443|; s|wss://www.example.org|&:8443|' >"$CASE/$2"
    install -D -o alice -g alice -m 600 "$CASE/$2" /home/alice/.ssh/config
}

# ---- expectations ----------------------------------------------------------------------------------------------

# Copies a file of 64 MiB with the page's commands, after a login, and clones a repository.
want_tunnel() { # PAGE FILE COPY
    head -c 64M /dev/urandom >"$CASE/file"
    install -o alice -g alice "$CASE/file" "/home/alice/$2"
    play "$1" use
    want_status 0
    want_out 'I am in.'
    same "$CASE/file" "/home/alice/$3"
    same_project project
    want_log sshd "Accepted publickey for alice from 127\.0\.0\.1"
}

# Expects that no tunnel opens with a token that another key has signed.
want_no_tunnel_with_another_token() {
    alice mkdir other
    try "${AS[@]}" sh -euc "cd other && . '$CASE/token.sh' && mv laptop.token ../.ssh/tunnel.token"
    want_status 0
    try "${AS[@]}" ssh www.example.org true
    want_ssh_failed
    want_err '^connect: .*rejected the token'
}

# ---- web-server.md ---------------------------------------------------------------------------------------------

# Starts a web server and the page's listener.
web_server_start() { # SETUP
    web "$1"
    home
    play web-server token
    want_status 0
    alice mv laptop.token .ssh/tunnel.token
    play_on web-server listener
    want_listening 127.0.0.1:9001
}

web_server() { # SETUP
    web_server_start "$1"
    put_ssh_config web-server ssh
    want_tunnel web-server report.bin copy.bin
    # A token that another key has signed must open no tunnel. The listener would read another key
    # from its own keys file.
    alice mkdir other
    try "${AS[@]}" sh -euc "cd other && . '$CASE/token.sh' && mv laptop.token ../.ssh/tunnel.token"
    want_status 0
    try "${AS[@]}" ssh www.example.org true
    want_ssh_failed
    want_err '^connect: .*rejected the token'
    end_job
}

web_server_proxy() {
    web_server_start setup_web_nginx
    put_ssh_config web-server ssh-proxy
    want_tunnel web-server report.bin copy.bin
    want_log http 'CONNECT www\.example\.org:8443 '
    end_job
}

web_server_port() {
    local listener
    web_server_start setup_web_nginx
    listener=$JOB
    block web-server port | sed 's|www.example.org|&:8443|' >"$CASE/port.sh"
    "${AS[@]}" sh -eu "$CASE/port.sh" >"$CASE/port.out" 2>"$CASE/port.err" </dev/null &
    JOB=$!
    want_listening 127.0.0.1:2222
    play web-server port-use
    want_status 0
    want_out 'I am in.'
    end_job
    JOB=$listener
    end_job
}

web_server_unit() {
    block web-server unit | sed "s|/usr/bin/connect|$WORK/bin/connect|" >"$CASE/ssh-tunnel.service"
    try systemd-analyze verify --man=no "$CASE/ssh-tunnel.service"
    want_status 0
    want_quiet
    want_nothing_out
}

# ---- websocket.md: other servers than nginx --------------------------------------------------------------------

websocket_through() { # SETUP
    web "$1"
    home
    play websocket key
    want_status 0
    alice mv token .ssh/token
    play_on websocket start
    want_listening 127.0.0.1:8081
    put_ssh_config websocket ssh
    want_tunnel websocket big.tar copy.tar
    end_job
}

websocket_websockify() {
    home websocket ssh-websockify
    play_on websocket websockify
    want_listening '*:6080'
    try "${AS[@]}" ssh www.example.org echo 'I am in.'
    want_status 0
    want_out 'I am in.'
    end_job
}

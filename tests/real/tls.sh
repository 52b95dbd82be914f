# shellcheck shell=bash
# TLS to the proxy: stunnel in front of microsocks, tinyproxy and itself, and squid's own https_port; with certificates
# that are good, and such that are not.

topic_tls() {
    local name
    make_big
    for name in socks5-stunnel http-stunnel http-squid-tls http-stunnel12 http-stunnel13 http-twice; do
        check_ours "tls/ssh/$name" tls_ssh "$name"
        check_ours "tls/scp/$name" tls_scp "$name"
    done
    check_ours tls/ends-well/stunnel tls_end http-stunnel
    check_ours tls/ends-well/squid tls_end http-squid-tls
    check_ours tls/client-certificate tls_client
    check_ours tls/no-client-certificate tls_no_client
    check_ours tls/wrong-client-certificate tls_wrong_client
    check_ours tls/wrong-name tls_distrusted wrong 'other\.example' 'not for localhost'
    check_ours tls/expired tls_distrusted expired 'expired on 20'
    check_ours tls/missing-intermediate tls_distrusted lone "'Real Intermediate'" 'not trusted'
    check_ours tls/self-signed tls_distrusted self 'self-signed'
    check_ours tls/pin tls_pin
    check_ours tls/not-tls tls_not_tls
    check_ours tls/plain-to-tls tls_plain
    check_ours tls/check tls_check
}

# ---- certificates ----------------------------------------------------------------------------------------------

# Each is a file NAME.pem with certificates, and NAME.key.
make_certificates() {
    local dir=$WORK/tls name
    [ ! -d "$dir" ] || return 0
    mkdir -p "$dir"
    authority ca 'Real Authority'
    authority clients 'Real Clients'
    authority between 'Real Intermediate' ca
    leaf good ca 'DNS:localhost,IP:127.0.0.1' 30
    leaf wrong ca 'DNS:other.example' 30
    leaf expired ca 'DNS:localhost' 0
    leaf lone between 'DNS:localhost' 30
    leaf full between 'DNS:localhost' 30
    cat "$dir/between.pem" >>"$dir/full.pem"
    leaf client clients 'DNS:me' 30
    leaf stranger ca 'DNS:me' 30
    cp "$dir/good.pem" "$dir/plain.pem"
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 30 \
        -keyout "$dir/self.key" -out "$dir/self.pem" 2>/dev/null || die "openssl req"
    # squid gives up root before it reads them.
    chmod 644 "$dir"/*.key
    for name in client stranger; do
        chmod 600 "$dir/$name.key"
    done
}

authority() { # NAME TITLE [ISSUER]
    local dir=$WORK/tls signer=(-x509)
    [ -z "${3-}" ] || signer=(-x509 -CA "$dir/$3.pem" -CAkey "$dir/$3.key")
    openssl req "${signer[@]}" -newkey rsa:2048 -nodes -subj "/CN=$2" -days 30 -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign -keyout "$dir/$1.key" -out "$dir/$1.pem" 2>/dev/null || die "openssl req -x509"
}

leaf() { # NAME ISSUER NAMES DAYS; 0 is a second, which is over when it is used
    local dir=$WORK/tls days=(-days "$4")
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$dir/$1.key" -out "$dir/$1.csr" 2>/dev/null ||
        die "openssl req"
    [ "$4" != 0 ] || days=(-days 0)
    openssl x509 -req -in "$dir/$1.csr" -CA "$dir/$2.pem" -CAkey "$dir/$2.key" -CAcreateserial "${days[@]}" \
        -extfile <(printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\n' "$3") -out "$dir/$1.pem" 2>/dev/null ||
        die "openssl x509"
}

# ---- servers ---------------------------------------------------------------------------------------------------

STUNNELS=(stunnel-socks stunnel stunnel12 stunnel13 stunnel-twice stunnel-client stunnel-wrong stunnel-expired
    stunnel-lone stunnel-full stunnel-self)

setup_stunnel() { # PORT...
    local dir=$WORK/tls index=0 name
    {
        printf 'foreground = yes\npid =\nsyslog = no\ndebug = 5\n'
        for name in "${STUNNELS[@]}"; do
            index=$((index + 1))
            stunnel_service "$name" "${!index}"
        done
    } >"$dir/stunnel.conf"
    CMD=(stunnel4 "$dir/stunnel.conf")
}

stunnel_service() { # NAME PORT
    local dir=$WORK/tls to=tinyproxy certificate=good more=
    case $1 in
    stunnel-socks) to=microsocks ;;
    stunnel12) more='sslVersionMax = TLSv1.2' ;;
    stunnel13) more='sslVersionMin = TLSv1.3' certificate=full ;;
    stunnel-client) more=$(printf 'verifyChain = yes\nCAfile = %s/clients.pem' "$dir") ;;
    stunnel-wrong | stunnel-expired | stunnel-lone | stunnel-full | stunnel-self) certificate=${1#stunnel-} ;;
    esac
    printf '[%s]\naccept = 127.0.0.1:%s\nconnect = 127.0.0.1:%s\ncert = %s/%s.pem\nkey = %s/%s.key\n%s\n' \
        "$1" "$2" "${PORT[$to]}" "$dir" "$certificate" "$dir" "$certificate" "$more"
}

# ---- checks ----------------------------------------------------------------------------------------------------

tls_via() { # NAME: sets VIA
    VIA="--tls-ca $WORK/tls/ca.pem -x "
    case $1 in
    socks5-stunnel) VIA+="socks5h+tls://localhost:${PORT[stunnel-socks]}" ;;
    http-squid-tls) VIA+="https://localhost:${PORT[squid-tls]}" ;;
    http-twice) VIA+="https://localhost:${PORT[stunnel]},https://localhost:${PORT[stunnel12]}" ;;
    http-*) VIA+="https://localhost:${PORT[${1#http-}]}" ;;
    esac
}

tls_ssh() { # NAME
    tls_via "$1"
    try ssh -F "$SSH_CONFIG" -o "ProxyCommand=$CONNECT $VIA %h %p" target 'echo hello; exit 3'
    [ "$status" -eq 3 ] || fail "exit status $status, expected the remote command's 3"
    want_out hello
    [ ! -s "$CASE/err" ] || fail "something on stderr"
}

tls_scp() { # NAME
    tls_via "$1"
    try scp -q -F "$SSH_CONFIG" -o "ProxyCommand=$CONNECT $VIA %h %p" "$WORK/up" "target:$CASE/copy"
    want_status 0
    same "$WORK/up" "$CASE/copy"
    try scp -q -F "$SSH_CONFIG" -o "ProxyCommand=$CONNECT $VIA %h %p" "target:$WORK/down" "$CASE/copy"
    want_status 0
    same "$WORK/down" "$CASE/copy"
    rm "$CASE/copy"
}

# sshd hangs up on nonsense. That is an end in good order, if the proxy says so in TLS as well.
tls_end() { # NAME
    tls_via "$1"
    open_input
    # The words of VIA are options.
    # shellcheck disable=SC2086
    try "$CONNECT" $VIA 127.0.0.1 "${PORT[sshd]}" <&"$INPUT"
    want_status 0
    want_banner
    [ ! -s "$CASE/err" ] || fail "something on stderr"
}

tls_try() { # SERVER OPTION...; sshd hangs up on what it is told
    local server=$1
    shift
    [ -e "$CASE/input" ] || open_input
    try "$CONNECT" "$@" -H "https://localhost:${PORT[$server]}" 127.0.0.1 "${PORT[sshd]}" <&"$INPUT"
}

tls_client() {
    tls_try stunnel-client --tls-ca "$WORK/tls/ca.pem" --tls-cert "$WORK/tls/client.pem" --tls-key "$WORK/tls/client.key"
    want_status 0
    want_banner
}

tls_no_client() {
    tls_try stunnel-client --tls-ca "$WORK/tls/ca.pem"
    want_status 5
    want_nothing_out
    want_line 'certificate of ours'
}

tls_wrong_client() {
    tls_try stunnel-client --tls-ca "$WORK/tls/ca.pem" --tls-cert "$WORK/tls/stranger.pem" --tls-key "$WORK/tls/stranger.key"
    want_status 5
    want_nothing_out
    want_line 'our certificate|unknown_ca'
}

tls_distrusted() { # CERTIFICATE REGEX...
    tls_try "stunnel-$1" --tls-ca "$WORK/tls/ca.pem"
    shift
    want_status 5
    want_nothing_out
    want_line "localhost:[0-9]+ has a certificate" "$@"
}

# The pin as the manual of curl has it made.
tls_pin() {
    local pin
    pin=$(openssl x509 -in "$WORK/tls/self.pem" -pubkey -noout | openssl pkey -pubin -outform der |
        openssl dgst -sha256 -binary | openssl enc -base64)
    tls_try stunnel-self --insecure --tls-pin "sha256//$pin"
    want_status 0
    want_banner
    tls_try stunnel --insecure --tls-pin "sha256//$pin"
    want_status 5
    want_line 'not pinned'
}

# A proxy that waits for us to begin would be a matter of time; this one speaks first.
tls_not_tls() {
    tls_try sshd --tls-ca "$WORK/tls/ca.pem"
    want_status 5
    want_nothing_out
    want_line 'TLS' 'http://'
}

tls_plain() {
    try "$CONNECT" -w 5 -H "http://localhost:${PORT[stunnel]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 5
    want_nothing_out
    want_line "localhost:${PORT[stunnel]}"
}

tls_check() {
    try "$CONNECT" --check --tls-ca "$WORK/tls/ca.pem" -x "https://localhost:${PORT[squid-tls]}" 127.0.0.1 "${PORT[sshd]}"
    want_status 0
    grep -q "speaks TLS: TLSv1_3.*certificate by 'Real Authority'" "$CASE/out" || fail "no word about TLS"
}

# shellcheck shell=bash
# Sets up the hosts that the pages mention (names, addresses, users and servers) in the namespaces
# created by `run`.

PROXY_PASSWORD=S3cret#proxy
MAIL_PASSWORD=S3cret-mail
declare -A ADDRESS=()

have_programs() {
    need_programs <<-END
		sshd openssh-server
		ssh openssh-client
		microsocks microsocks
		tinyproxy tinyproxy
		fetchmail fetchmail
		popa3d popa3d
		socat socat
		stunnel4 stunnel4
		haproxy haproxy
		nginx nginx-light
		aiosmtpd python3-aiosmtpd
		emacs emacs-nox
		git git
		proxy libproxy-tools
		gpg gpg
		gpgconf gpgconf
		openssl openssl
		ip iproute2
		ss iproute2
		script bsdutils
		unshare util-linux
		setpriv util-linux
		setsid util-linux
		mount mount
		pgrep procps
		ansible ansible-core
		dbclient dropbear-bin
		inetd openbsd-inetd
		msmtp msmtp
		mutt mutt
		plink putty-tools
		rsync rsync
		systemd-analyze systemd
		systemd-socket-activate systemd
	END
}

# Every port is free inside the namespace, so `serve` uses the standard ports. portname is a local variable of
# `serve`, which calls this function.
free_port() { FREE=$portname; }

# ---- names, addresses, users -----------------------------------------------------------------------------------

make_world() {
    local address view names name
    chmod 755 "$WORK"
    mkdir -p "$WORK"/{bin,case,etc,home,log,mail,run,sshd}
    cp "$BINARY" "$WORK/bin/connect"
    # The copy of the password file stays in memory and disappears with the namespace.
    mount -t tmpfs -o mode=755 cookbook "$WORK/etc" || die "cannot mount the pages' files: is this a mount namespace?"
    cp -a /etc/. "$WORK/etc" || die "cannot copy /etc"
    # Copy the pages, because the repository may be below /home, which is about to be hidden. A bind
    # mount would be dangerous: removing $WORK could delete the repository.
    mkdir "$WORK/repository"
    if ! { cp "$HERE/hosts" "$WORK" && cp -r "$ROOT/README.md" "$ROOT/docs" "$ROOT/examples" "$WORK/repository"; }; then
        die "cannot copy the pages"
    fi
    PAGES=$WORK/repository/docs/cookbook
    for name in etc home mail:/var/mail run; do
        mount --bind "$WORK/${name%:*}" "/${name#*:/}" || die "cannot mount the pages' files: is this a mount namespace?"
    done
    mkdir /run/sshd
    ip link set lo up || die "cannot bring up lo: is this a network namespace?"

    while read -r address view names; do
        # lo already has 127.0.0.0/8.
        [[ $address == 127.* ]] || ip addr add "$address/32" dev lo || die "cannot add address $address"
        printf '%s %s\n' "$address" "$names" >>"$WORK/beyond"
        [ "$view" != here ] || printf '%s %s\n' "$address" "$names" >>"$WORK/here"
        for name in $names; do
            ADDRESS[$name]=$address
        done
    done < <(sed 's/#.*//; /^ *$/d' "$WORK/hosts")
    rm -f /etc/hosts /etc/nsswitch.conf /etc/connectrc
    # fetchmail looks up this machine's host name.
    echo "127.0.1.1 $(uname -n).example.net $(uname -n)" | tee -a "$WORK/here" >>"$WORK/beyond"
    cp "$WORK/here" /etc/hosts
    # Look up names in files only, so that an unknown name fails immediately.
    printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\n' >/etc/nsswitch.conf

    make_user alice 4242 "$(openssl passwd -6 "$MAIL_PASSWORD")"
    make_user git 4243 '*'
    # Command prefix that runs a program as alice, with her environment and without a terminal.
    AS=(setsid -w setpriv --reuid=4242 --regid=4242 --clear-groups --inh-caps=-all
        env -i -C /home/alice HOME=/home/alice USER=alice LOGNAME=alice LC_ALL=C.UTF-8
        "PATH=$WORK/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
}

make_user() { # NAME NUMBER HASH; replaces a user of this name in the copies
    sed -i "/^$1:/d" /etc/passwd /etc/group /etc/shadow
    echo "$1:x:$2:$2::/home/$1:/bin/sh" >>/etc/passwd
    echo "$1:x:$2:" >>/etc/group
    echo "$1:$3:19000:0:99999:7:::" >>/etc/shadow
    install -d -o "$2" -g "$2" "/home/$1"
}

# ---- servers ---------------------------------------------------------------------------------------------------

start_world() {
    serve sshd setup_hosts 22 443
    write_user_config
    serve socks setup_socks 1080
    serve socks-guarded setup_socks_guarded 1080
    serve socks4 setup_socks4 1080
    serve http setup_http 8080
    serve http-guarded setup_http_guarded 8080
    serve firewall setup_firewall 8080
    serve tls setup_tls 443
    serve tunnel setup_tunnel 443
    serve haproxy setup_haproxy 443
    serve nginx setup_nginx 443
    serve pop3 setup_pop3 110
    serve pop3s setup_pop3s 995
    serve smtp setup_smtp 25
    serve git setup_git 9418
    serve rsync setup_rsync 873
}

# Wraps CMD so that it runs with a hosts file that contains every name.
beyond() {
    # The inner shell expands the variables.
    # shellcheck disable=SC2016
    CMD=(unshare -m sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$WORK/beyond" "${CMD[@]}")
}

# Sets up one sshd for all hosts. Its configuration is that of `setup_sshd` in
# tests/shell/servers.sh, with other addresses and users.
setup_hosts() {
    local host
    setup_sshd 22
    sed -i '/^ListenAddress/d; /^Port/d; s/^PermitRootLogin.*/AllowUsers alice git/' "$WORK/sshd/config"
    for host in build.corp.example lab.corp.example gate.example.net mailhost.example.net shell.example.org \
        server git.example.org build.internal.example tunnel.example.org localhost; do
        echo "ListenAddress ${ADDRESS[$host]}:22"
    done >>"$WORK/sshd/config"
    cat >>"$WORK/sshd/config" <<-END
		ListenAddress ${ADDRESS[home.example.org]}:443
		ListenAddress ${ADDRESS[ssh.github.com]}:443
		SetEnv PATH=$WORK/bin:/usr/local/bin:/usr/bin:/bin
		Match LocalAddress ${ADDRESS[gate.example.net]}
		    AllowTcpForwarding no
	END
    beyond
}

# Writes known_hosts and the system-wide ssh_config.
write_user_config() {
    printf '* %s\n' "$(cat "$WORK/sshd/host.pub")" >"$WORK/known_hosts"
    cat >/etc/ssh/ssh_config <<-END
		Host *
		    BatchMode yes
		    StrictHostKeyChecking yes
		    GlobalKnownHostsFile $WORK/known_hosts
		    ConnectTimeout 20
	END
    chmod 755 "$WORK/sshd"
}

# Sets up a SOCKS5 proxy. Each proxy dials from its own address, so that a server can tell the
# proxies apart.
setup_socks() {
    CMD=(microsocks -i "${ADDRESS[socks.corp.example]}" -b "${ADDRESS[socks.corp.example]}" -p "$1")
    beyond
}

setup_socks_guarded() {
    local address=${ADDRESS[guarded.corp.example]}
    CMD=(microsocks -i "$address" -b "$address" -p "$1" -u alice -P "$PROXY_PASSWORD")
    beyond
}

# Sets up a SOCKS4a proxy with ssh -D. The host that ssh logs in to dials the target.
setup_socks4() {
    CMD=(ssh -F none -vv -N -D "${ADDRESS[socks4.corp.example]}:$1" -o ExitOnForwardFailure=yes
        -o BatchMode=yes -o "UserKnownHostsFile=$WORK/known_hosts" -i "$WORK/sshd/user"
        "alice@${ADDRESS[build.corp.example]}")
}

setup_http() { http_proxy_at "$1" proxy.corp.example; }
setup_http_guarded() { http_proxy_at "$1" guarded.corp.example "BasicAuth alice $PLAIN_PASSWORD"; }
setup_firewall() { http_proxy_at "$1" firewall 'ConnectPort 443'; }

http_proxy_at() { # PORT NAME LINE...
    local name=$2 address=${ADDRESS[$2]}
    tinyproxy_config "$name" "$1" | sed "s/^Listen .*/Listen $address/; s/^Allow .*/Bind $address/" >"$WORK/$name.conf"
    shift 2
    printf '%s\n' "$@" >>"$WORK/$name.conf"
    CMD=(tinyproxy -d -c "$WORK/$name.conf")
    beyond
}

# Sets up TLS in front of the HTTP proxy, with a certificate from a private CA.
setup_tls() {
    local dir=$WORK/etc key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
    openssl req -x509 "${key[@]}" -days 2 -subj '/CN=Corp Authority' -addext basicConstraints=critical,CA:TRUE \
        -keyout "$dir/proxy-authority.key" -out "$dir/proxy-authority.pem" 2>/dev/null || die "cannot create the authority"
    openssl req -x509 -CA "$dir/proxy-authority.pem" -CAkey "$dir/proxy-authority.key" "${key[@]}" -days 2 \
        -subj /CN=proxy.corp.example -addext subjectAltName=DNS:proxy.corp.example -addext basicConstraints=CA:FALSE \
        -keyout "$dir/proxy.key" -out "$dir/proxy.pem" 2>/dev/null || die "cannot create the certificate"
    printf '%s\n' 'foreground = yes' 'pid =' 'syslog = no' '[proxy]' "accept = ${ADDRESS[proxy.corp.example]}:$1" \
        "connect = ${ADDRESS[proxy.corp.example]}:8080" "cert = $dir/proxy.pem" "key = $dir/proxy.key" >"$WORK/tls.conf"
    CMD=(stunnel4 "$WORK/tls.conf")
}

# Sets up the page's stunnel in front of sshd, with a certificate that the client machine trusts.
setup_tunnel() {
    local pem=$WORK/etc/tunnel.pem
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=tunnel.example.org \
        -addext subjectAltName=DNS:tunnel.example.org,DNS:ssh.example.org -keyout "$pem.key" -out "$pem.crt" 2>/dev/null ||
        die "cannot create the certificate"
    cat "$pem.crt" "$pem.key" >"$pem"
    cp "$pem.crt" "/etc/ssl/certs/$(openssl x509 -noout -hash -in "$pem.crt").0"
    {
        printf '%s\n' 'foreground = yes' 'pid =' 'syslog = no'
        block tls-target stunnel | sed "s|^\(accept = \)|\1${ADDRESS[tunnel.example.org]}:|
            s|^\(connect = \)|\1${ADDRESS[tunnel.example.org]}:|; s|/etc/stunnel/tunnel.example.org.pem|$pem|"
    } >"$WORK/tunnel.conf"
    CMD=(stunnel4 "$WORK/tunnel.conf")
}

# Sets up the page's HAProxy in front of sshd, with the certificate of `setup_tunnel`.
setup_haproxy() {
    block tls-target haproxy | sed "s|bind :|bind ${ADDRESS[ssh.example.org]}:|
        s|127.0.0.1:22|${ADDRESS[tunnel.example.org]}:22|; s|/etc/haproxy/example.org.pem|$WORK/etc/tunnel.pem|" >"$WORK/haproxy.conf"
    CMD=(haproxy -db -f "$WORK/haproxy.conf")
}

# Sets up the page's nginx in front of a WebSocket listener, with a certificate that the client
# machine trusts.
setup_nginx() {
    local pem=$WORK/etc/www.pem
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=www.example.org \
        -addext subjectAltName=DNS:www.example.org -keyout "$pem.key" -out "$pem.crt" 2>/dev/null ||
        die "cannot create the certificate"
    cat "$pem.crt" "$pem.key" >"$pem"
    cp "$pem.crt" "/etc/ssl/certs/$(openssl x509 -noout -hash -in "$pem.crt").0"
    mkdir "$WORK/nginx"
    {
        printf '%s\n' 'daemon off;' 'user root;' "pid $WORK/nginx/pid;" 'error_log stderr;' 'events {}' 'http {' \
            'access_log /dev/stdout;' "client_body_temp_path $WORK/nginx;" "proxy_temp_path $WORK/nginx;" \
            "fastcgi_temp_path $WORK/nginx;" "uwsgi_temp_path $WORK/nginx;" "scgi_temp_path $WORK/nginx;"
        block websocket nginx | sed "s|listen |listen ${ADDRESS[www.example.org]}:|; s|/etc/nginx/www.example.org.pem|$pem|"
        echo '}'
    } >"$WORK/nginx.conf"
    CMD=(nginx -c "$WORK/nginx.conf")
}

setup_pop3() { CMD=(socat -d -d "TCP4-LISTEN:$1,reuseaddr,fork" "EXEC:$(type -P popa3d)"); }
# Sets up POP3 over TLS, with a certificate that the client machine trusts.
setup_pop3s() {
    local pem=$WORK/etc/pop3s.pem
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mail.example.org \
        -addext subjectAltName=DNS:mail.example.org -keyout "$pem.key" -out "$pem" 2>/dev/null || die "cannot create the certificate"
    cp "$pem" "/etc/ssl/certs/$(openssl x509 -noout -hash -in "$pem").0"
    CMD=(socat -d -d "OPENSSL-LISTEN:$1,reuseaddr,fork,verify=0,cert=$pem,key=$pem.key" "EXEC:$(type -P popa3d)")
}

# Sets up SMTP with STARTTLS, using the POP3S server's certificate.
setup_smtp() {
    local pem=$WORK/etc/pop3s.pem
    CMD=(env PYTHONUNBUFFERED=1 aiosmtpd -n -l "${ADDRESS[mail.example.org]}:$1" --tlscert "$pem" --tlskey "$pem.key" --no-requiretls)
}

setup_rsync() {
    mkdir -p "$WORK/pub"
    head -c 200000 /dev/urandom >"$WORK/pub/file"
    printf '%s\n' 'use chroot = no' '[pub]' "path = $WORK/pub" >"$WORK/rsyncd.conf"
    CMD=(rsync --daemon --no-detach "--address=${ADDRESS[files.example.org]}" "--port=$1" "--config=$WORK/rsyncd.conf"
        --log-file=/dev/stdout)
}

setup_git() {
    local repo=$WORK/home/git/project.git tree=$WORK/tree
    local author=(-c user.name=alice -c user.email=alice@example.org -c "safe.directory=*")
    if [ ! -d "$repo" ]; then
        git init -q -b main "$tree"
        head -c 200000 /dev/urandom >"$tree/file"
        git "${author[@]}" -C "$tree" add file
        git "${author[@]}" -C "$tree" commit -qm 'a file'
        git clone -q --bare "$tree" "$repo"
        chown -R 4243:4243 "$repo"
    fi
    # Run git-daemon directly, because `git daemon` would keep running as its parent.
    CMD=(env "GIT_CONFIG_COUNT=1" GIT_CONFIG_KEY_0=safe.directory "GIT_CONFIG_VALUE_0=*"
        "$(git --exec-path)/git-daemon" --verbose "--listen=${ADDRESS[git.example.org]}" "--port=$1"
        --export-all --base-path=/home/git)
}

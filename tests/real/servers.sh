# shellcheck shell=bash
# The peers: what must be installed, how each is configured and started. Every server runs in the foreground.

USER_NAME=alice
# A blank and signs that shells, URLs and Basic treat specially: they must arrive as typed.
PASSWORD='S3cret p@ss:w0rd%'
# microsocks and tinyproxy take theirs from a command line or a configuration word.
PLAIN_PASSWORD='S3cret-passw0rd'
WRONG_PASSWORD='Wr0ng-passw0rd'
NCSA_AUTH=/usr/lib/squid/basic_ncsa_auth
DIGEST_AUTH=/usr/lib/squid/digest_file_auth
REGRESS=/usr/lib/openssh/regress

have_peers() {
    need_programs <<-END
		sshd openssh-server
		ssh openssh-client
		sftp openssh-client
		microsocks microsocks
		danted dante-server
		tinyproxy tinyproxy
		squid squid
		stunnel4 stunnel4
		$NCSA_AUTH squid
		$DIGEST_AUTH squid
		haproxy haproxy
		dnsmasq dnsmasq-base
		htpasswd apache2-utils
		openssl openssl
		git git
		rsync rsync
		make make
		ps procps
		ss iproute2
		ip iproute2
		script bsdutils
		unshare util-linux
		setsid util-linux
		$REGRESS/netcat openssh-tests
		/usr/lib/openssh/sftp-server openssh-sftp-server
	END
}

start_servers() {
    serve sshd setup_sshd sshd
    write_ssh_config
    serve microsocks setup_microsocks microsocks
    serve microsocks-user setup_microsocks_user microsocks-user
    serve danted setup_danted danted
    serve danted-user setup_danted_user danted-user
    serve tinyproxy setup_tinyproxy tinyproxy
    serve tinyproxy-user setup_tinyproxy_user tinyproxy-user
    make_certificates
    serve squid setup_squid squid squid-user squid-tls
    serve squid-digest setup_squid_digest squid-digest
    serve haproxy setup_haproxy haproxy
    serve stunnel-all setup_stunnel "${STUNNELS[@]}"
    serve ssh-D setup_ssh_d ssh-D
    # Every server that logs elsewhere than on its stderr says where.
    LOG["squid"]=$WORK/squid/access.log
    LOG["squid-digest"]=$WORK/squid-digest/access.log
    # One that nobody listens on. It is taken last, so that no server of ours gets it.
    free_port
    CLOSED=$FREE
}

# ---- sshd, the target ------------------------------------------------------------------------------------------

setup_sshd() { # PORT
    local dir=$WORK/sshd login
    login=$(id -un)
    case $(getent passwd "$login" | cut -d: -f7) in
    */nologin | */false) die "the login shell of $login lets nobody in: run the suite as another user" ;;
    esac
    mkdir -p "$dir"
    # sshd insists on it when started by root; elsewhere the package's service makes it.
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
    [ -f "$dir/host" ] || ssh-keygen -q -t ed25519 -N '' -C '' -f "$dir/host"
    [ -f "$dir/user" ] || ssh-keygen -q -t ed25519 -N '' -C '' -f "$dir/user"
    cp "$dir/user.pub" "$dir/authorized_keys"
    cat >"$dir/config" <<-END
		Port $1
		ListenAddress 127.0.0.1
		HostKey $dir/host
		PidFile $dir/pid
		AuthorizedKeysFile $dir/authorized_keys
		StrictModes no
		UsePAM no
		PubkeyAuthentication yes
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		PermitRootLogin yes
		MaxStartups 100
		MaxSessions 100
		UseDNS no
		LogLevel VERBOSE
		Subsystem sftp internal-sftp
	END
    ! has_ipv6 || echo "ListenAddress ::1" >>"$dir/config"
    # Newer versions lock out an address that asks for the banner only, as some checks do.
    echo "PerSourcePenalties no" >"$dir/newer"
    if sshd -t -f <(cat "$dir/config" "$dir/newer") 2>/dev/null; then
        cat "$dir/newer" >>"$dir/config"
    fi
    CMD=("$(type -P sshd)" -D -e -f "$dir/config")
}

has_ipv6() { ip -6 addr show dev lo 2>/dev/null | grep -qw '::1'; }

write_ssh_config() {
    local dir=$WORK/sshd
    printf 'real-target %s\n' "$(cat "$dir/host.pub")" >"$dir/known_hosts"
    cat >"$dir/ssh_config" <<-END
		Host target
		    HostName 127.0.0.1
		    Port ${PORT[sshd]}
		    User $(id -un)
		    HostKeyAlias real-target
		    IdentityFile $dir/user
		    IdentitiesOnly yes
		    IdentityAgent none
		    UserKnownHostsFile $dir/known_hosts
		    GlobalKnownHostsFile /dev/null
		    StrictHostKeyChecking yes
		    UpdateHostKeys no
		    BatchMode yes
		    ControlMaster no
		    ConnectTimeout 20
		    LogLevel ERROR
	END
    SSH_CONFIG=$dir/ssh_config
}

# ---- SOCKS -----------------------------------------------------------------------------------------------------

setup_microsocks() { CMD=(microsocks -i 127.0.0.1 -p "$1"); }
setup_microsocks_user() { CMD=(microsocks -i 127.0.0.1 -p "$1" -u "$USER_NAME" -P "$PLAIN_PASSWORD"); }
setup_ssh_d() { CMD=(ssh -F "$SSH_CONFIG" -vv -N -D "127.0.0.1:$1" -o ExitOnForwardFailure=yes target); }

danted_config() { # PORT METHOD
    echo "logoutput: stderr"
    echo "internal: 127.0.0.1 port = $1"
    echo "external: 127.0.0.1"
    ! has_ipv6 || echo "external: ::1"
    echo "clientmethod: none"
    echo "socksmethod: $2"
    if [ "$(id -u)" -eq 0 ]; then
        echo "user.privileged: root"
        echo "user.notprivileged: nobody"
    fi
    printf 'client pass { from: 0/0 to: 0/0 }\nsocks pass {\n from: 0/0 to: 0/0\n log: connect error\n}\n'
}

setup_danted() { # PORT
    danted_config "$1" none >"$WORK/danted.conf"
    CMD=(danted -f "$WORK/danted.conf")
}

# danted looks its users up among the system's. It gets a passwd and a shadow file of its own, in a mount name space
# that nobody else sees, so that the machine's stay as they are.
setup_danted_user() { # PORT
    local own=("unshare" "-m")
    [ "$(id -u)" -eq 0 ] || own=("unshare" "-m" "-r")
    "${own[@]}" true 2>/dev/null || die "danted with users needs a mount name space, and unshare -m is not permitted here"
    danted_config "$1" username >"$WORK/danted-user.conf"
    (
        umask 077
        {
            [ ! -r /etc/shadow ] || cat /etc/shadow
            echo "$USER_NAME:$(openssl passwd -6 "$PASSWORD"):19000:0:99999:7:::"
        } >"$WORK/shadow"
    )
    { cat /etc/passwd && echo "$USER_NAME:x:64321:64321::/nonexistent:/usr/sbin/nologin"; } >"$WORK/passwd"
    # The quotes are for the inner shell.
    # shellcheck disable=SC2016
    CMD=("${own[@]}" sh -c 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow &&
        exec danted -f "$1/danted-user.conf"' sh "$WORK")
}

# ---- HTTP ------------------------------------------------------------------------------------------------------

tinyproxy_config() { # NAME PORT
    cat <<-END
		Port $2
		Listen 127.0.0.1
		Allow 127.0.0.1
		Timeout 600
		MaxClients 100
		LogLevel Info
		PidFile "$WORK/$1.pid"
	END
}

setup_tinyproxy() { # PORT
    tinyproxy_config tinyproxy "$1" >"$WORK/tinyproxy.conf"
    CMD=(tinyproxy -d -c "$WORK/tinyproxy.conf")
}

setup_tinyproxy_user() { # PORT
    tinyproxy_config tinyproxy-user "$1" >"$WORK/tinyproxy-user.conf"
    echo "BasicAuth $USER_NAME $PLAIN_PASSWORD" >>"$WORK/tinyproxy-user.conf"
    CMD=(tinyproxy -d -c "$WORK/tinyproxy-user.conf")
}

# One squid, three ports: the second wants a password, the third speaks TLS.
setup_squid() { # PORT PORT PORT
    local dir=$WORK/squid
    mkdir -p "$dir"
    htpasswd -bc "$dir/users" "$USER_NAME" "$PASSWORD" 2>/dev/null
    : >"$dir/access.log"
    # Started by root it becomes this user, which must be able to write here.
    [ "$(id -u)" -ne 0 ] || chown -R proxy: "$dir"
    cat >"$dir/config" <<-END
		http_port 127.0.0.1:$1
		http_port 127.0.0.1:$2 name=guarded
		https_port 127.0.0.1:$3 tls-cert=$WORK/tls/good.pem tls-key=$WORK/tls/good.key
		auth_param basic program $NCSA_AUTH $dir/users
		auth_param basic children 2 startup=1
		auth_param basic realm real
		acl guarded myportname guarded
		acl known proxy_auth REQUIRED
		http_access allow !guarded
		http_access allow guarded known
		http_access deny all
		access_log stdio:$dir/access.log
	END
    run_squid "$dir"
}

# The rest of a configuration, and the command.
run_squid() { # DIRECTORY
    cat >>"$1/config" <<-END
		visible_hostname squid.test
		cache_log stdio:/dev/stderr
		pid_filename none
		coredump_dir $1
		cache deny all
		cache_mem 8 MB
		max_filedescriptors 1024
		pinger_enable off
		netdb_filename none
		shutdown_lifetime 0 seconds
	END
    # -N: one process, in the foreground. -C: no handler of its own for fatal signals.
    CMD=(squid -N -C -d 1 -f "$1/config")
}

# It offers Basic as well, but knows nobody by it.
setup_squid_digest() { # PORT
    local dir=$WORK/squid-digest
    mkdir -p "$dir"
    printf '%s:real:%s\n' "$USER_NAME" "$(printf '%s' "$USER_NAME:real:$PASSWORD" | md5sum | cut -d' ' -f1)" >"$dir/users"
    : >"$dir/nobody"
    : >"$dir/access.log"
    [ "$(id -u)" -ne 0 ] || chown -R proxy: "$dir"
    cat >"$dir/config" <<-END
		http_port 127.0.0.1:$1
		auth_param digest program $DIGEST_AUTH -c $dir/users
		auth_param digest children 2 startup=1
		auth_param digest realm real
		auth_param basic program $NCSA_AUTH $dir/nobody
		auth_param basic children 2 startup=1
		auth_param basic realm real
		acl known proxy_auth REQUIRED
		http_access allow known
		http_access deny all
		logformat said %Ss/%03>Hs %rm %ru %un %>rv %{User-Agent}>h %{X-Probe}>h
		access_log stdio:$dir/access.log said
	END
    run_squid "$dir"
}

# A receiver of PROXY protocol headers in front of sshd, which tells what it was told.
setup_haproxy() { # PORT
    cat >"$WORK/haproxy.cfg" <<-END
		global
		    log stderr format raw local0
		defaults
		    mode tcp
		    timeout connect 10s
		    timeout client 60s
		    timeout server 60s
		    log global
		    log-format "%ci:%cp to %fi:%fp"
		frontend announced
		    bind 127.0.0.1:$1 accept-proxy
		    default_backend sshd
		backend sshd
		    server sshd 127.0.0.1:${PORT[sshd]}
	END
    CMD=(haproxy -db -f "$WORK/haproxy.cfg")
}

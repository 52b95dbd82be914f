# shellcheck shell=bash
# Setup functions for servers that several shell suites use, either as is or with small changes. All
# servers run in the foreground. tests/real has its own servers, in Rust. The variables look unused
# here, but `serve` in lib.sh reads CMD, and the cookbook suite reads PLAIN_PASSWORD.
# shellcheck disable=SC2034

# A single word, because tinyproxy accepts nothing else.
PLAIN_PASSWORD='S3cret-passw0rd'

setup_sshd() { # PORT
    local dir=$WORK/sshd login
    login=$(id -un)
    case $(getent passwd "$login" | cut -d: -f7) in
    */nologin | */false) die "$login cannot log in; run the suite as another user" ;;
    esac
    mkdir -p "$dir"
    # When started by root, sshd requires this directory, which the package's service would create.
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
    # Newer versions of sshd block a client address after connections that only read the banner, and
    # some checks make such connections.
    echo "PerSourcePenalties no" >"$dir/newer"
    if sshd -t -f <(cat "$dir/config" "$dir/newer") 2>/dev/null; then
        cat "$dir/newer" >>"$dir/config"
    fi
    CMD=("$(type -P sshd)" -D -e -f "$dir/config")
}

has_ipv6() { ip -6 addr show dev lo 2>/dev/null | grep -qw '::1'; }

setup_microsocks() { CMD=(microsocks -i 127.0.0.1 -p "$1"); }

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

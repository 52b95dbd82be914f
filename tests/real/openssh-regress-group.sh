#!/bin/bash
# Runs one group of OpenSSH's regression tests. openssh.rs starts this script in a separate network
# namespace for each group.
# usage: openssh-regress-group.sh FOLDER NETCAT-SHIM BINARY 'TEST:MINIMUM-RUNS...' socks|ssh
#
# The program reaches the tests' sshd through microsocks or through another sshd.
# Writes a line to FOLDER/TEST.result when a test is over: "ok", or the reason for the failure.
set -u
dir=$1 shim=$2 tests=$4 way=$5
export CONNECT_BINARY=$3 CONNECT_RUNS=$dir/runs
# Fixed ports are safe, because nothing else uses this network namespace. OpenSSH's tests use port
# 4242 and a few ports above it.
ssh_port=4242 proxy_port=1080 bastion_port=5022

ip link set lo up || exit 1
mkdir -p "$dir"
cp -a /usr/lib/openssh/regress "$dir/regress" || exit 1
mv "$dir/regress/netcat" "$dir/regress/netcat.real"
cp "$shim" "$dir/regress/netcat"

# multiplex and exit-status run many commands that close their output after 2 seconds and exit 3
# seconds later. Only the order matters, so shorten these two pauses. All other pauses keep their
# length, because the tests rely on them to wait for servers. The bind mount over `sleep` is only
# visible in this mount namespace.
cp "$(type -P sleep)" "$dir/sleep.real" || exit 1
cat >"$dir/sleep" <<END
#!/bin/sh
case \$1 in
2 | 3) exec "$dir/sleep.real" 0.4 ;;
*) exec "$dir/sleep.real" "\$@" ;;
esac
END
chmod +x "$dir/sleep"
mount --bind "$dir/sleep" "$(type -P sleep)" || exit 1

# sshd runs every command in the login shell, and bash would then read ~/.bashrc. Hide that file,
# because it may be slow or print something.
bashrc=$(getent passwd "$(id -u)" | cut -d: -f6)/.bashrc
[ ! -e "$bashrc" ] || mount --bind /dev/null "$bashrc" || exit 1

sshd=$(type -P sshd) server=
if [ "$way" = socks ]; then
    microsocks -i 127.0.0.1 -p "$proxy_port" 2>"$dir/microsocks.log" &
    proxy=$!
    route="-5 -S 127.0.0.1:$proxy_port"
else
    bastion=$dir/bastion
    mkdir "$bastion" || exit 1
    for key in host user; do
        ssh-keygen -q -t ed25519 -N '' -f "$bastion/$key" || exit 1
    done
    echo "[127.0.0.1]:$bastion_port $(cat "$bastion/host.pub")" >"$bastion/known_hosts"
    cat >"$bastion/config" <<END
ListenAddress 127.0.0.1:$bastion_port
HostKey $bastion/host
AuthorizedKeysFile $bastion/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
MaxStartups 100
RekeyLimit 1M
END
    "$sshd" -D -f "$bastion/config" -E "$bastion/log" &
    proxy=$!
    route="-x ssh://$(id -un)@127.0.0.1:$bastion_port --ssh-strict yes --ssh-known-hosts $bastion/known_hosts --ssh-agent off -i $bastion/user"
fi
trap 'kill "$proxy" $server 2>/dev/null' EXIT

regress() { # TEST
    timeout -k 5 "$limit" make -s -C "$dir/regress" .OBJDIR="$dir/regress" .CURDIR="$dir/regress" BUILDDIR="$dir/regress" OBJ="$dir/regress" \
        SUDO= TEST_SHELL=sh TEST_SSH_PORT="$ssh_port" TEST_SSH_SSH="$(type -P ssh)" \
        TEST_SSH_SFTPSERVER=/usr/lib/openssh/sftp-server TEST_SSH_UNSAFE_PERMISSIONS=1 TEST_SSH_IPV6=yes \
        TEST_SSH_ECC=yes LTESTS="$1" t-exec </dev/null
}

# Most tests take less than a minute. rekey and try-ciphers have hundreds of sessions.
limit=200
case $tests in *rekey:* | *try-ciphers:*) limit=1500 ;; esac

# Some tests end their configuration with the ProxyCommand `sshd -i -f sshd_proxy`. Our ProxyCommand
# comes earlier and therefore takes precedence, but it needs a listening server, which runs that
# command for each connection. Run a quick test first to create sshd's keys and configuration.
start_server() {
    [ -n "$server" ] && return 0
    regress connect >"$dir/before.out" 2>&1 || return 1
    /usr/bin/python3 "$(dirname "$0")/ssh_servers.py" exec "$ssh_port" \
        "$sshd" -i -f "$dir/regress/sshd_proxy" -E "$dir/sshd.log" >"$dir/server.out" 2>&1 &
    server=$!
}

stop_server() {
    [ -z "$server" ] || kill "$server"
    server=
}

# The tests rely on ssh retrying while a forwarding is being set up (ConnectionAttempts=10), but ssh
# does not retry with a ProxyCommand. So our ProxyCommand waits up to one second for a listener. In
# tests that expect a failure because nothing listens, this only delays the failure.
cat >"$dir/proxycommand" <<END
#!/bin/sh
i=0
until [ -n "\$(ss -Htln "sport = :\$2")" ] || [ "\$i" -ge 20 ]; do
    i=\$((i + 1))
    "$dir/sleep.real" 0.05
done
echo proxied >>$CONNECT_RUNS
exec $CONNECT_BINARY $route "\$1" "\$2"
END
chmod +x "$dir/proxycommand"

result() { # TEST TEXT; creates the file atomically
    echo "$2" >"$dir/result"
    mv "$dir/result" "$dir/$1.result"
}

for test in $tests; do
    name=${test%:*} minimum=${test#*:} problem=
    unset TEST_SSH_SSH_CONFOPTS
    # In dynamic-forward, ssh itself is the proxy, and the netcat shim runs the program.
    [ "$name" = dynamic-forward ] || export TEST_SSH_SSH_CONFOPTS="ProxyCommand $dir/proxycommand %h %p"
    case $name in
    connect | connect-uri | forwarding | dynamic-forward | multiplex) stop_server ;;
    *) start_server || problem='the test run that creates the configuration failed; see before.out' ;;
    esac
    : >"$CONNECT_RUNS"
    began=$SECONDS
    if [ -z "$problem" ] && ! regress "$name" >"$dir/$name.out" 2>&1; then
        problem="OpenSSH's test failed"
    elif [ -z "$problem" ] && ! grep -q '^ok ' "$dir/$name.out"; then
        problem="OpenSSH's test did not print 'ok'"
    elif [ -z "$problem" ] && [ "$(wc -l <"$CONNECT_RUNS")" -lt "$minimum" ]; then
        problem="the program ran $(wc -l <"$CONNECT_RUNS") times, expected $minimum or more"
    fi
    result "$name" "${problem:-ok}"
    echo "$name: ${problem:-ok}, $(wc -l <"$CONNECT_RUNS") runs, $((SECONDS - began)) s"
done

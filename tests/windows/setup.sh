# shellcheck shell=bash
# The tools, the build, wine, and the servers that the Windows checks talk to.

# The loader itself: the script in front of it complains about a missing wine32.
WINE=/usr/lib/wine/wine64
WINESERVER=/usr/lib/wine/wineserver64

have_tools() {
    need_programs <<-END
		/usr/bin/rustc rustc-web
		/usr/bin/cargo cargo-web
		x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64-posix
		$WINE wine64
		$WINESERVER wine64
		cargo rustup, or cargo-web
		microsocks microsocks
		danted dante-server
		tinyproxy tinyproxy
		socat socat
		perl perl-base
		ss iproute2
		ip iproute2
		script bsdutils
		setsid util-linux
	END
    [ -n "$(find /usr/src /usr/lib -maxdepth 7 -path '*/library/std/Cargo.toml' -print -quit 2>/dev/null)" ] ||
        die "the source of the standard library: not installed (Debian package rust-web-src)"
}

# Debian's compiler, which does not know other targets until it has built their standard library.
build() { # ARGUMENT-OF-CARGO...
    local began=$SECONDS
    (
        cd "$ROOT" || exit
        env -u RUSTUP_TOOLCHAIN -u RUSTFLAGS CARGO_TARGET_DIR=target/windows RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            /usr/bin/cargo "$@" --locked --target "$TRIPLE"
    ) >"$WORK/log/build" 2>&1 || {
        tail -n 40 "$WORK/log/build" | sed 's/^/     | /'
        die "it does not build for Windows: cargo $*"
    }
    printf 'built in %s s\n' $((SECONDS - began))
}

build_program() {
    local name
    build build --release --bins -Z build-std=std,panic_abort
    for name in launch askpass; do
        x86_64-w64-mingw32-gcc -O -Wall -Wextra -Werror -o "$WORK/bin/$name.exe" "$HERE/$name.c" ||
            die "$name.c does not compile"
    done
    x86_64-w64-mingw32-gcc -O -Wall -Wextra -Werror -shared -o "$WORK/bin/bcryptprimitives.dll" \
        "$HERE/bcryptprimitives.c" -ladvapi32 || die "bcryptprimitives.c does not compile"
    cp "$BUILT" "$WORK/bin/connect.exe"
}

# Once, when the first topic asks for them. Sets UNIT and INTEGRATION.
build_tests() {
    [ -z "${UNIT:-}" ] || return 0
    build test --no-run --lib --test integration -Z build-std=std,panic_unwind,test,proc_macro
    UNIT=$(built_test src/lib.rs)
    INTEGRATION=$(built_test tests/integration/main.rs)
    if [ -z "$UNIT" ] || [ -z "$INTEGRATION" ]; then
        die "no tests were built"
    fi
}

built_test() { # SOURCE
    sed -n "s|^ *Executable .*$1 (\\(.*\\))\$|$ROOT/\\1|p" "$WORK/log/build"
}

# One wine server and one prefix for all. Programs started by hand must neither start the server nor wait for it, so it
# runs before them; what it starts in turn must not hold the pipes of a check.
start_wine() {
    # Without explorer no program waits for a desktop, which takes ten seconds when nobody shows it.
    # All of wine meets in a folder in TMPDIR. USER is whom wine tells its programs that they run as, not USERNAME.
    export WINEPREFIX=$WORK/prefix WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=;winemenubuilder.exe,explorer.exe=d'
    export TMPDIR=$WORK/tmp USER=winner LOGNAME=winner
    export -n DISPLAY
    mkdir "$WINEPREFIX"
    # It becomes a daemon when it is ready, and ends by itself soon after its last client, should nobody end it.
    "$WINESERVER" -p30 >"$WORK/log/wineserver" 2>&1 </dev/null || die "wine's server does not start"
    timeout -k 5 90 "$WINE" wineboot -i >"$WORK/log/wineboot" 2>&1 </dev/null || {
        tail -n 12 "$WORK/log/wineboot" | sed 's/^/     | /'
        die "wine does not make its prefix"
    }
    mv "$WORK/bin/bcryptprimitives.dll" "$WINEPREFIX/drive_c/windows/system32/"
    # Names of its own for what starts the program: a link to it is the program under that name, as on Unix. The test
    # harness clears the environment, so the script carries all that it needs.
    cat >"$WORK/bin/connect" <<-END
		#!/bin/sh
		exe=$WORK/bin/connect.exe
		name=\${0##*/}
		if [ "\$name" != connect ]; then
		    exe=$WORK/named/\$name.exe
		    ln -sf $WORK/bin/connect.exe "\$exe"
		fi
		export LC_ALL=C.UTF-8 TMPDIR=$TMPDIR WINEPREFIX=$WINEPREFIX WINEDEBUG=-all WINEDLLOVERRIDES='$WINEDLLOVERRIDES'
		exec $WINE "\$exe" "\$@"
	END
    chmod 755 "$WORK/bin/connect"
    CONNECT=$WORK/bin/connect
    LAUNCH=("$WINE" "$WORK/bin/launch.exe")
    "$CONNECT" --version >"$WORK/log/version" 2>&1 </dev/null || {
        tail -n 12 "$WORK/log/version" | sed 's/^/     | /'
        die "the program does not start under wine"
    }
}

# The server ends those that wine itself has started; killed, it would leave them behind.
end_wine() {
    local status=$?
    [ ! -d "${WINEPREFIX:-}" ] || timeout -k 1 10 "$WINESERVER" -k >/dev/null 2>&1
    return "$status"
}

# ---- targets ---------------------------------------------------------------------------------------------------

# -t: how long a half-closed session may go on.
target() { # PORT ADDRESS
    CMD=(socat -t 30 "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr,backlog=64" "$2")
}

setup_echo() { target "$1" EXEC:cat; }
# Says what it was sent, when the sender has ended.
setup_digest() { target "$1" EXEC:sha256sum; }
setup_greeting() { target "$1" "EXEC:echo hello"; }
# Gives the first line back, and ends.
setup_line() { target "$1" "EXEC:head -n 1"; }
# Silent for a while, then it ends.
setup_pause() { target "$1" "EXEC:sleep 3"; }
# Half-closes at once, takes nothing for a while, and then the rest. perl-base is on every Debian system.
setup_stubborn() {
    # The signs are for perl.
    # shellcheck disable=SC2016
    CMD=(perl -MSocket -e '
        my $door;
        socket($door, PF_INET, SOCK_STREAM, 0) && setsockopt($door, SOL_SOCKET, SO_REUSEADDR, 1)
            && bind($door, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) && listen($door, 5) || die "$!\n";
        while (accept(my $client, $door)) {
            shutdown($client, 1);
            sleep(3);
            open(my $digest, "|sha256sum >$ARGV[1]") || die "$!\n";
            print $digest $_ while sysread($client, $_, 65536);
            close($digest);
        }' "$1" "$WORK/stubborn")
}
setup_blob() { target "$1" "OPEN:$WORK/blob,rdonly"; }
# Records what it gets and answers nothing.
setup_record() { CMD=(socat -u "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr" "OPEN:$WORK/recorded,creat,append"); }

start_targets() {
    # The bytes that a text mode would change come first; a multiple of nothing in particular.
    { printf '\n\r\r\n\032\000\377\n' && head -c 52428801 /dev/urandom; } >"$WORK/blob"
    serve echo setup_echo echo
    serve digest setup_digest digest
    serve greeting setup_greeting greeting
    serve line setup_line line
    serve pause setup_pause pause
    serve stubborn setup_stubborn stubborn
    serve blob setup_blob blob
    serve record setup_record record
    serve microsocks-user setup_microsocks_user microsocks-user
    serve danted setup_danted danted
    serve tinyproxy-user setup_tinyproxy_user tinyproxy-user
    # One that nobody listens on. It is taken last, so that no server of ours gets it.
    free_port
    CLOSED=$FREE
}

# shellcheck shell=bash
# Checks for the tools, builds the programs and tests, and starts wine. Sourced by `run`.
: "${HERE:?}" "${ROOT:?}"

TRIPLE=x86_64-pc-windows-gnu
# Call the loader directly, because Debian's wrapper script complains about a missing wine32.
WINE=/usr/lib/wine/wine64
WINESERVER=/usr/lib/wine/wineserver64

have_tools() {
    local program package
    while read -r program package; do
        [ -n "$(type -P "$program")" ] || die "$program is missing: install the Debian package $package (tests/windows/packages)"
    done <<-END
		/usr/bin/rustc rustc-web
		/usr/bin/cargo cargo-web
		x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64-posix
		$WINE wine64
		$WINESERVER wine64
		cargo rustup
		danted dante-server
		microsocks microsocks
		tinyproxy tinyproxy
	END
    [ -n "$(find /usr/src /usr/lib -maxdepth 7 -path '*/library/std/Cargo.toml' -print -quit 2>/dev/null)" ] ||
        die "the source of the standard library is missing: install the Debian package rust-web-src"
}

# Debian's compiler has no standard library for Windows, so cargo builds one first.
build() { # ARGUMENT-OF-CARGO...
    local began=$SECONDS
    (
        cd "$ROOT" || exit
        env -u RUSTUP_TOOLCHAIN -u RUSTFLAGS CARGO_TARGET_DIR=target/windows RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            /usr/bin/cargo "$@" --locked --target "$TRIPLE"
    ) >"$WORK/log/build" 2>&1 || {
        tail -n 40 "$WORK/log/build" | sed 's/^/     | /'
        die "the build for Windows failed: cargo $*"
    }
    printf 'windows: cargo %s took %s s\n' "$1" $((SECONDS - began))
}

build_program() { # release | debug
    local name
    if [ "$1" = release ]; then
        build build --release --bins -Z build-std=std,panic_abort
    else
        build build --bins -Z build-std=std,panic_unwind
    fi
    for name in launch askpass; do
        x86_64-w64-mingw32-gcc -O -Wall -Wextra -Werror -o "$WORK/bin/$name.exe" "$HERE/$name.c" ||
            die "$name.c does not compile"
    done
    x86_64-w64-mingw32-gcc -O -Wall -Wextra -Werror -shared -o "$WORK/bin/bcryptprimitives.dll" \
        "$HERE/bcryptprimitives.c" -ladvapi32 || die "bcryptprimitives.c does not compile"
    cp "$ROOT/target/windows/$TRIPLE/$1/connect.exe" "$WORK/bin/connect.exe"
}

# Builds the test executables the first time a topic needs them. Sets UNIT and INTEGRATION.
build_tests() {
    [ -z "${UNIT:-}" ] || return 0
    build test --no-run --lib --test integration -Z build-std=std,panic_unwind,test,proc_macro
    UNIT=$(test_executable src/lib.rs)
    INTEGRATION=$(test_executable tests/integration/main.rs)
    if [ -z "$UNIT" ] || [ -z "$INTEGRATION" ]; then
        die "cargo has built no test executables"
    fi
}

test_executable() { # SOURCE
    sed -n "s|^ *Executable .*$1 (\\(.*\\))\$|$ROOT/\\1|p" "$WORK/log/build"
}

# All tests share one wine server and one prefix. Start the server first: if a program under test
# started the server, the server would inherit the test's pipes, and the test would wait until the
# server exits.
start_wine() {
    # Disable explorer, because programs would wait ten seconds for a desktop that never appears.
    # wine keeps its sockets in TMPDIR, and its programs run as the user in USER. Both variables
    # must be the same for all programs.
    export WINEPREFIX=$WORK/prefix WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=;winemenubuilder.exe,explorer.exe=d'
    USER=$(id -un)
    export TMPDIR=$WORK/tmp USER LOGNAME=$USER
    mkdir "$WINEPREFIX"
    # The server becomes a daemon once it is ready, and exits 30 seconds after its last client.
    "$WINESERVER" -p30 >"$WORK/log/wineserver" 2>&1 </dev/null || die "wine's server does not start"
    timeout -k 5 90 "$WINE" wineboot -i >"$WORK/log/wineboot" 2>&1 </dev/null || {
        tail -n 12 "$WORK/log/wineboot" | sed 's/^/     | /'
        die "wine cannot make its prefix"
    }
    mv "$WORK/bin/bcryptprimitives.dll" "$WINEPREFIX/drive_c/windows/system32/"
    # The wrapper starts the .exe of the same name. If there is none, the wrapper starts connect.exe
    # under that name. The tests clear the environment, so the wrapper sets the variables.
    cat >"$WORK/bin/connect" <<-END
		#!/bin/sh
		name=\${0##*/}
		exe=$WORK/bin/\$name.exe
		if [ ! -e "\$exe" ]; then
		    exe=$WORK/named/\$name.exe
		    ln -sf $WORK/bin/connect.exe "\$exe"
		fi
		export LC_ALL=C.UTF-8 USER=$USER LOGNAME=$LOGNAME TMPDIR=$TMPDIR WINEPREFIX=$WINEPREFIX WINEDEBUG=-all
		export WINEDLLOVERRIDES='$WINEDLLOVERRIDES'
		exec $WINE "\$exe" "\$@"
	END
    chmod 755 "$WORK/bin/connect"
    ln -s connect "$WORK/bin/launch"
    CONNECT=$WORK/bin/connect
    "$CONNECT" --version >"$WORK/log/version" 2>&1 </dev/null || {
        tail -n 12 "$WORK/log/version" | sed 's/^/     | /'
        die "the program does not start under wine"
    }
}

# `wineserver -k` also ends the processes that wine has started. Killing the server directly would
# leave them behind.
clean_up() {
    local status=$?
    trap '' HUP INT TERM
    [ ! -d "${WINEPREFIX:-}" ] || timeout -k 1 10 "$WINESERVER" -k >/dev/null 2>&1
    if [ -n "${WINDOWS_KEEP:-}" ]; then
        printf 'kept %s\n' "$WORK"
    else
        rm -rf "$WORK"
    fi
    exit "$status"
}

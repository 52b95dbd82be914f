# shellcheck shell=bash
# Checks for the Debian package: lintian, and installation, upgrade and removal in a separate root
# directory.

DIR='' PACKAGE='' OLD='' NEXT='' DPKG=()

checks_of_debian() {
    DIR=$WORK/root
    # Install everything, even if this machine's dpkg is configured to skip, say, manual pages.
    DPKG=(fakeroot dpkg "--root=$DIR" "--log=$WORK/log/dpkg" '--path-include=/usr/*')
    mkdir -p "$WORK/deb" "$WORK/next"
    check deb-is-built make_packages
    PACKAGE=$(echo "$WORK"/deb/connect_*.deb)
    OLD=$(echo "$WORK"/old/connect-proxy_*.deb)
    NEXT=$(echo "$WORK"/next/connect_*.deb)
    check deb-lintian lint
    check deb-files files
    check deb-replaces-connect-proxy replaces
    check deb-both-names-work both_names
    check deb-manual-pages manual_pages
    check deb-example example
    check deb-completion-bash completion bash
    check deb-completion-zsh completion zsh
    check deb-completion-fish completion fish
    check deb-is-upgraded is_upgraded
    check deb-keeps-connect-proxy-out keeps_out
    check deb-leaves-nothing leaves_nothing
}

make_packages() {
    try "$ROOT/.ci/release" deb "$BINARY" "$WORK/deb"
    want_status 0
    try "$ROOT/.ci/release" deb "$BINARY" "$WORK/next" --deb-version 999.0-1 --fast
    want_status 0
    # Repack the C program's package from the files installed on this machine.
    mkdir "$WORK/old"
    cd "$WORK/old" || fail 'cannot enter the directory'
    try fakeroot dpkg-repack connect-proxy
    want_status 0
}

lint() {
    try lintian --allow-root --fail-on error,warning --info "$PACKAGE"
    cat "$CASE/out"
    want_status 0
}

# Checks that our package contains every path in Debian's connect-proxy, except documentation.
files() {
    dpkg-deb --fsys-tarfile "$PACKAGE" | tar -t | sed 's|/$||' >"$CASE/ours"
    while read -r file; do
        case $file in
        /. | /usr/share/doc/*) ;;
        *) grep -qxF ".$file" "$CASE/ours" || fail "connect-proxy has $file, and our package does not" ;;
        esac
    done < <(dpkg -L connect-proxy)
    dpkg-deb --field "$PACKAGE" Depends | grep -q libc6 || fail 'it does not depend on the C library'
}

# Makes a root directory in which dpkg considers the C library installed.
make_root() {
    local name
    mkdir -p "$DIR/var/lib/dpkg/"{info,updates,triggers} "$DIR/etc"
    dpkg --status libc6 >"$DIR/var/lib/dpkg/status"
    for name in libc6 "libc6:$(dpkg --print-architecture)"; do
        : >"$DIR/var/lib/dpkg/info/$name.list"
        : >"$DIR/var/lib/dpkg/info/$name.md5sums"
    done
    # A file created by the administrator, which no package owns.
    echo '# ours' >"$DIR/etc/connectrc"
}

# Lists all files and link targets, except dpkg's own files.
contents() { (cd "$DIR" && find . -path ./var -prune -o -printf '%y %M %p %l\n' | LC_ALL=C sort); }

state() { # PACKAGE
    "${DPKG[@]}" --status "$1" 2>/dev/null | sed -n 's/^Status: //p'
}

replaces() {
    make_root
    contents >"$WORK/before"
    try "${DPKG[@]}" --install "$OLD"
    want_status 0
    try "${DPKG[@]}" --install "$PACKAGE"
    want_status 0
    grep -q 'will remove connect-proxy in favour of connect' "$CASE/out" "$CASE/err" || fail 'dpkg did not replace connect-proxy'
    [ "$(state connect-proxy)" != 'install ok installed' ] || fail 'connect-proxy is still installed'
    [ "$(state connect)" = 'install ok installed' ] || fail "its state is '$(state connect)'"
    try "${DPKG[@]}" --verify connect
    want_status 0
    want_nothing_out
    ! "${DPKG[@]}" --audit | grep . || fail 'dpkg --audit reports a problem'
    [ ! -e "$DIR/usr/share/doc/connect-proxy" ] || fail 'files of connect-proxy are left over'
}

both_names() {
    local name
    for name in connect connect-proxy; do
        cmp "$BINARY" "$DIR/usr/bin/$name" || fail "$name is not the program under test"
        session "$DIR/usr/bin/$name"
    done
}

manual_pages() {
    local page
    for page in man1/connect.1 man1/connect-proxy.1 man5/connectrc.5; do
        try man --warnings -E UTF-8 -Tutf8 -Z -l "$DIR/usr/share/man/$page.gz"
        want_status 0
        [ ! -s "$CASE/err" ] || fail "$page: man warns"
        try mandoc -T lint -W warning "$DIR/usr/share/man/$page.gz"
        want_status 0
    done
    try env MANPATH="$DIR/usr/share/man" man -P cat connect-proxy
    want_status 0
    grep -q 'ProxyCommand' "$CASE/out" || fail 'man shows another page'
    try env MANPATH="$DIR/usr/share/man" man -P cat connectrc
    want_status 0
}

# Checks that the example connectrc works unchanged. The hermetic tests cover each of its lines.
example() {
    cp "$DIR/usr/share/doc/connect/examples/connectrc" "$HOME/.connectrc"
    session "$DIR/usr/bin/connect"
    rm "$HOME/.connectrc"
    [ ! -s "$CASE/err" ] || fail 'the program warns about the example'
}

completion() { # SHELL
    : >"$WORK/a-file-here"
    completes "$1" 'connect --proxy-pro' --proxy-protocol
    completes "$1" 'connect -R rem' remote
    completes "$1" 'connect --proxy-protocol v1 --tls-s' --tls-server-name
    completes "$1" "connect --tls-ca $WORK/a-file-h" "$WORK/a-file-here"
}

is_upgraded() {
    try "${DPKG[@]}" --install "$NEXT"
    want_status 0
    [ "$("${DPKG[@]}" --status connect | sed -n 's/^Version: //p')" = 999.0-1 ] || fail 'dpkg did not upgrade it'
    both_names
}

# connect-proxy conflicts with our package, so dpkg must refuse to install it and must leave our
# package intact.
keeps_out() {
    try "${DPKG[@]}" --install "$OLD"
    want_status 1
    grep -q 'conflicting packages' "$CASE/err" || fail 'dpkg does not report the conflict'
    [ "$(state connect)" = 'install ok installed' ] || fail "its state is '$(state connect)'"
    both_names
}

leaves_nothing() {
    try "${DPKG[@]}" --remove connect
    want_status 0
    try "${DPKG[@]}" --purge connect
    contents >"$CASE/after"
    diff "$WORK/before" "$CASE/after" || fail 'removal left or deleted a file'
    [ -z "$(find "$DIR/var/lib/dpkg/info" -name 'connect*')" ] || fail 'dpkg still knows its files'
}

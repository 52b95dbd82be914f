# shellcheck shell=bash
# Checks for the release archives, checksums and notes that .ci/release produces.

TRIPLES=(x86_64-unknown-linux-gnu x86_64-pc-windows-msvc)

checks_of_release() {
    VERSION=$("$BINARY" -V | sed 's/connect //')
    check archives archives
    check archives-are-reproducible same_twice
    check binstall-finds-the-archives binstall
    check archive-of-linux archive_of_linux
    check archive-of-windows archive_of_windows
    check checksums checksums
    check release-check release_is_checked
    check notes notes
}

archives() {
    local triple
    for triple in "${TRIPLES[@]}"; do
        try "$ROOT/.ci/release" pack "$triple" "$BINARY" "$WORK/out"
        want_status 0
    done
    try "$ROOT/.ci/release" sums "$WORK/out"
    want_status 0
}

same_twice() {
    local triple archive
    mkdir "$CASE/again"
    for triple in "${TRIPLES[@]}"; do
        try "$ROOT/.ci/release" pack "$triple" "$BINARY" "$CASE/again"
        want_status 0
    done
    for archive in "$CASE"/again/*; do
        same "$archive" "$WORK/out/${archive##*/}"
    done
}

# Cargo.toml tells cargo binstall where to find the archives, and the program inside them.
template() { # KEY TABLE: the value with its placeholders filled in
    sed -n "/^\\[package\\.metadata\\.$2\\]/,/^\$/s/^$1 = \"\\(.*\\)\"/\\1/p" "$ROOT/Cargo.toml" |
        sed "s/{ repo }/REPO/; s/{ name }/connect/g; s/{ version }/$VERSION/g; s/{ target }/$TRIPLE/g; s/{ bin }/connect/"
}

binstall() {
    local url folder
    TRIPLE=x86_64-unknown-linux-gnu
    url=$(template pkg-url binstall)
    folder=$(template bin-dir binstall)
    [ "${url%/*}" = "REPO/releases/download/v$VERSION" ] || fail "cargo binstall looks for the archives in ${url%/*}"
    tar -tf "$WORK/out/${url##*/}" | grep -qxF "${folder/\{ binary-ext \}/}" || fail "no $folder in ${url##*/}"
    TRIPLE=x86_64-pc-windows-msvc
    url=$(template pkg-url "binstall.overrides.$TRIPLE")
    folder=$(template bin-dir binstall)
    unzip -Z1 "$WORK/out/${url##*/}" | grep -qxF "${folder/\{ binary-ext \}/.exe}" || fail "no $folder in ${url##*/}"
}

archive_of_linux() {
    local name=connect-$VERSION-x86_64-unknown-linux-gnu
    tar -C "$CASE" -xf "$WORK/out/$name.tar.gz" || fail 'the archive is damaged'
    cmp "$BINARY" "$CASE/$name/connect" || fail 'the archive contains another program'
    session "$CASE/$name/connect"
    contains_all_files "$CASE/$name"
}

archive_of_windows() {
    local name=connect-$VERSION-x86_64-pc-windows-msvc
    (cd "$CASE" && unzip -q "$WORK/out/$name.zip") || fail 'the archive is damaged'
    cmp "$BINARY" "$CASE/$name/connect.exe" || fail 'the archive contains another program'
    contains_all_files "$CASE/$name"
}

contains_all_files() { # FOLDER
    local file
    for file in README.md LICENSE docs/connect.1 docs/connectrc.5 docs/completions/_connect.ps1 examples/connectrc; do
        cmp "$ROOT/$file" "$1/$file" || fail "$file is missing"
    done
    # A crate linked into the program must be listed with its license text; a crate used only by
    # tests must not be listed.
    grep -q '^rustls [0-9.]*: ' "$1/licenses-of-crates.txt" || fail 'a license is missing'
    grep -q 'Permission is hereby granted' "$1/licenses-of-crates.txt" || fail 'the texts of the licenses are missing'
    ! grep -q '^proptest ' "$1/licenses-of-crates.txt" || fail 'a crate is listed that is not in the program'
}

checksums() {
    cd "$WORK/out" || fail 'cannot enter the directory'
    try sha256sum --strict --check SHA256SUMS
    want_status 0
    [ "$(grep -c ': OK$' "$CASE/out")" -eq ${#TRIPLES[@]} ] || fail 'an archive has no checksum'
}

# ---- .ci/release check -----------------------------------------------------------------------------

# Copies the files that .ci/release reads, and changes the version in the copies to 9.8.7.
release_tree() {
    TREE=$CASE/tree
    mkdir -p "$TREE/docs" "$TREE/src"
    cp -r "$ROOT"/{.ci,Cargo.toml,Cargo.lock,src,benches,tests} "$TREE"
    cp "$ROOT/docs/CHANGELOG.md" "$TREE/docs"
    cd "$TREE" || fail 'cannot enter the copy'
    sed -i '0,/^version = .*/s||version = "9.8.7"\nrepository = "https://git.example/us/connect"|' Cargo.toml
    sed -i '/^name = "connect"$/{n;s/.*/version = "9.8.7"/}' Cargo.lock
    sed -i 's/^## Unreleased/## 9.8.7 - 2026-11-22/' docs/CHANGELOG.md
    sed -i '1s/(.*)/(9.8.7-1)/' .ci/debian/changelog
    sed -i 's/authors\.example/authors.test/' Cargo.toml .ci/debian/changelog
}

refused() { # TEXT SED-SCRIPT FILE: .ci/release rejects the changed file with this text
    cp "$3" "$CASE/kept"
    sed -i "$2" "$3"
    try .ci/release check v9.8.7
    want_status 1
    grep -qF "$1" "$CASE/err" || fail "the error does not contain: $1"
    cp "$CASE/kept" "$3"
}

release_is_checked() {
    release_tree
    export GITHUB_SERVER_URL=https://git.example GITHUB_REPOSITORY=us/connect
    try .ci/release check v9.8.7
    want_status 0
    try .ci/release check v9.8.6
    want_status 1
    refused 'Cargo.lock' 's/"9.8.7"/"9.8.6"/' Cargo.lock
    refused 'still called Unreleased' 's/^## 9/## Unreleased\n\n&/' docs/CHANGELOG.md
    refused 'no section 9.8.7' 's/^## 9.8.7/## 9.8.70/' docs/CHANGELOG.md
    refused '.ci/debian/changelog' '1s/9.8.7/9.8.6/' .ci/debian/changelog
    refused 'example address' 's/authors\.test/authors.example/' Cargo.toml
    refused 'has no repository' '/^repository/d' Cargo.toml
    refused 'but this is us/connect' 's|git.example/us|git.example/them|' Cargo.toml
}

notes() {
    release_tree
    printf '%s\n' '# Changes' '' '## 9.8.7 - 2026-11-22' '' '- One that goes' '  on.' '- Two.' '' '## 9.8' '' '- Old.' \
        >docs/CHANGELOG.md
    try .ci/release notes
    want_status 0
    want_out $'- One that goes on.\n- Two.'
}

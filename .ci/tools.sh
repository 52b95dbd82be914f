# shellcheck shell=bash
# Installs the cargo tools that the checks and releases need, in $TOOLS or target/tools. Builds them
# in debug mode, which takes a third as long as a release build. Source this file from the root of
# the repository. It must work with bash 3.2, which macOS ships.

TOOLS=${TOOLS:-$PWD/target/tools}
PATH=$TOOLS/bin:$PATH

tool() { # NAME
    case $1 in
    cargo-auditable) set -- "$1" --version 0.7.7 ;;
    # The default features, xz compression (liblzma) and build-ID paths for debug symbols, are not
    # needed.
    cargo-deb) set -- "$1" --version 3.8.0 --no-default-features ;;
    cargo-deny) set -- "$1" --version 0.20.2 ;;
    esac
    ! grep -qsF "\"$1 $3 " "$TOOLS/.crates.toml" || return 0
    cargo install --quiet --locked --debug --root "$TOOLS" "$@" || die "$1 $3 cannot be installed"
}

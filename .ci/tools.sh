# shellcheck shell=bash
# Installs the cargo tools that checks and releases need, in $TOOLS or target/tools. Debug builds of
# these tools take a third of the time. Source this file from the root of the repository. It must
# work with the old bash on macOS.

TOOLS=${TOOLS:-$PWD/target/tools}
PATH=$TOOLS/bin:$PATH

tool() { # NAME
    case $1 in
    cargo-auditable) set -- "$1" --version 0.7.7 ;;
    # The default features add xz compression (liblzma) and separate debug symbols.
    cargo-deb) set -- "$1" --version 3.8.0 --no-default-features ;;
    cargo-deny) set -- "$1" --version 0.20.2 ;;
    esac
    ! grep -qsF "\"$1 $3 " "$TOOLS/.crates.toml" || return 0
    cargo install --quiet --locked --debug --root "$TOOLS" "$@" || die "$1 $3 cannot be installed"
}

# shellcheck shell=bash
# The cargo tools that checks and releases need. They are installed in $TOOLS, or target/tools, if they are missing; not
# optimized, which takes a third of the time. To be sourced in the root of the repository, by the bash of macOS as well.

TOOLS=${TOOLS:-$PWD/target/tools}
PATH=$TOOLS/bin:$PATH

tool() { # NAME
    case $1 in
    cargo-auditable) set -- "$1" --version 0.7.7 ;;
    # Without what else it can do: compression by the C library, and names for debug symbols.
    cargo-deb) set -- "$1" --version 3.8.0 --no-default-features ;;
    cargo-deny) set -- "$1" --version 0.20.2 ;;
    esac
    ! grep -qsF "\"$1 $3 " "$TOOLS/.crates.toml" || return 0
    cargo install --quiet --locked --debug --root "$TOOLS" "$@" || die "$1 $3 cannot be installed"
}

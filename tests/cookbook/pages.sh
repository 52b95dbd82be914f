# shellcheck shell=bash
# Extracts blocks from the pages and runs them as alice. Also defines the expectations that the
# recipes share.

# The command that most pages run on the target. The remote shell expands the variable.
# shellcheck disable=SC2016
ASK='echo "I come from $SSH_CLIENT"'

# Prints a page's block between ```LANGUAGE test=NAME and ```.
block() { # PAGE NAME
    local page=$PAGES/$1.md
    [ "$(grep -c "^\`\`\`[a-z_]* test=$2\$" "$page")" -eq 1 ] ||
        fail "$1.md must have exactly one block with test=$2"
    echo "$1 $2" >>"$WORK/used"
    awk -v "name=test=$2" '/^```/ { on = !on && $2 == name; next } on { print; some = 1 } END { exit !some }' "$page" ||
        fail "$1.md: the block test=$2 is empty"
}

# Runs a block in alice's shell.
play() { # PAGE NAME
    block "$1" "$2" >"$CASE/$2.sh"
    try "${AS[@]}" sh -eu "$CASE/$2.sh"
}

# Runs a block with TEXT as its input, and then keeps the input open for a while.
play_typing() { # PAGE NAME TEXT; expands \n and \r in TEXT
    play "$1" "$2" < <(printf '%b' "$3"; sleep "${PAUSE:-10}")
}

# Runs a block in the background, and sets JOB to the shell's PID.
play_on() { # PAGE NAME
    block "$1" "$2" >"$CASE/$2.sh"
    # Without this redirection, a background job would read from /dev/null.
    "${AS[@]}" sh -eu "$CASE/$2.sh" >"$CASE/$2.out" 2>"$CASE/$2.err" < <(exec sleep 50) &
    JOB=$!
}

alice() { "${AS[@]}" "$@"; }

put() { # PAGE NAME FILE
    block "$1" "$2" >"$CASE/$2"
    install -D -o alice -g alice -m "${MODE:-600}" "$CASE/$2" "/home/alice/$3"
}

# Resets alice's home directory, and installs the page's ~/.ssh/config if a page is given.
home() { # [PAGE NAME]
    find /home/alice -mindepth 1 -delete
    # Clean up after a failed check.
    ip addr flush dev lo label lo:place
    rm -f /etc/connectrc
    cp "$WORK/here" /etc/hosts
    install -d -o alice -g alice -m 700 /home/alice/.ssh /home/alice/bin
    install -o alice -g alice -m 600 "$WORK/sshd/user" /home/alice/.ssh/id_ed25519
    [ $# -eq 0 ] || put "$1" "$2" .ssh/config
}

password_file() { # PASSWORD
    printf '%s\n' "$1" >"$CASE/password"
    install -o alice -g alice -m 600 "$CASE/password" /home/alice/.proxy-password
}

# Expects the page's command to have printed that the connection came from this host.
want_from() { # [WORDS] NAME
    local name=${*: -1} words=${1:-}
    [ $# -gt 1 ] || words='I come from'
    grep -Eq "^$words ${ADDRESS[$name]//./\\.} " "$CASE/out" ||
        fail "the server did not see $name: $(cat "$CASE/out")"
}

want_ssh_failed() { [ "$status" -eq 255 ] || fail "exit status $status, expected ssh's 255"; }

want_quiet() { [ ! -s "$CASE/err" ] || fail "stderr not empty"; }

want_err() { # REGEX
    grep -Eq -e "$1" "$CASE/err" || fail "stderr does not match /$1/"
}

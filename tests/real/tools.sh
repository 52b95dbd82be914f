# shellcheck shell=bash
# What people run over such an ssh: git, rsync, sftp, a hop by way of another host; and many sessions at once.

topic_tools() {
    check git-clone git_clone socks5-microsocks
    check rsync rsync_both_ways http-tinyproxy
    check sftp-batch sftp_batch socks5-danted-user
    check hop-banner hop_banner
    check hop-session hop_session
    check program-name-port program_name_port
    check remote-end-ends-it remote_end
    check local-end-drains local_end
    check twenty-at-once/socks5-microsocks twenty socks5-microsocks
    check twenty-at-once/http-squid-user twenty http-squid-user
}

# An input that says one line, which sshd answers by hanging up, and then stays open as a terminal would.
open_input() { # sets INPUT
    mkfifo "$CASE/input"
    exec {INPUT}<>"$CASE/input"
    printf 'bye\r\n' >&"$INPUT"
}

git_clone() { # ROUTE
    local repo=$CASE/repo
    export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    git init -q "$repo" || fail "git init"
    head -c 5000000 "$WORK/up" >"$repo/big"
    { git -C "$repo" add big && git -C "$repo" commit -qm 'a big one'; } || fail "git commit"
    echo more >"$repo/small"
    { git -C "$repo" add small && git -C "$repo" commit -qm 'a small one'; } || fail "git commit"
    take "$1"
    # Every option of SSH_VIA quoted, since git hands the line to a shell.
    try env "${WITH[@]}" "GIT_SSH_COMMAND=ssh ${SSH_VIA[*]@Q}" \
        git clone -q -u "$(type -P git-upload-pack)" "target:$repo" "$CASE/clone"
    want_status 0
    same "$repo/big" "$CASE/clone/big"
    git -C "$CASE/clone" fsck --full || fail "git fsck"
    [ "$(git -C "$CASE/clone" rev-parse HEAD)" = "$(git -C "$repo" rev-parse HEAD)" ] || fail "another HEAD"
    want_log "$SERVER" "$SEEN"
}

rsync_both_ways() { # ROUTE
    local i
    mkdir -p "$CASE/tree/deep/er"
    head -c 5000000 "$WORK/up" >"$CASE/tree/big"
    for i in {1..50}; do
        echo "file $i" >"$CASE/tree/deep/er/$i"
    done
    take "$1"
    try env "${WITH[@]}" rsync -a -e "ssh ${SSH_VIA[*]@Q}" "$CASE/tree/" "target:$CASE/there/"
    want_status 0
    try env "${WITH[@]}" rsync -a -e "ssh ${SSH_VIA[*]@Q}" "target:$CASE/there/" "$CASE/back/"
    want_status 0
    diff -r "$CASE/tree" "$CASE/back" || fail "what came back differs"
    want_log "$SERVER" "$SEEN"
}

sftp_batch() { # ROUTE
    take "$1"
    head -c 5000000 "$WORK/up" >"$CASE/file"
    printf '%s\n' "mkdir $CASE/dir" "put $CASE/file $CASE/dir/put" "get $CASE/dir/put $CASE/got" "rm $CASE/dir/put" \
        >"$CASE/batch"
    try env "${WITH[@]}" sftp -q -b "$CASE/batch" "${SSH_VIA[@]}" target
    want_status 0
    same "$CASE/file" "$CASE/got"
    [ ! -e "$CASE/dir/put" ] || fail "the last command of the batch was not carried out"
    want_log "$SERVER" "$SEEN"
}

# `ssh host1 connect host2 port`: there connect's stdin and stdout are what sshd gives a command.
hop_banner() {
    open_input
    try ssh -F "$SSH_CONFIG" target "$CONNECT" 127.0.0.1 "${PORT[sshd]}" <&"$INPUT"
    want_status 0
    want_banner
}

hop_session() {
    try ssh -F "$SSH_CONFIG" -o "ProxyCommand=ssh -F $SSH_CONFIG target $CONNECT %h %p" target 'cat; exit 4' <"$WORK/up"
    [ "$status" -eq 4 ] || fail "exit status $status, expected the remote command's 4"
    same "$WORK/up" "$CASE/out"
}

program_name_port() {
    local name=$CASE/connect-${PORT[sshd]}
    ln -s "$(readlink -f "$CONNECT")" "$name"
    open_input
    try "$name" 127.0.0.1 <&"$INPUT"
    want_status 0
    want_banner
}

# sshd hangs up: connect ends although its stdin is still open.
remote_end() {
    open_input
    try "$CONNECT" -S "127.0.0.1:${PORT[microsocks]}" 127.0.0.1 "${PORT[sshd]}" <&"$INPUT"
    want_status 0
    want_banner
    grep -q 'Invalid SSH identification' "$CASE/out" || fail "the end of what sshd said is missing"
    want_log microsocks "connected to 127\.0\.0\.1:${PORT[sshd]}"
}

# stdin ends at once: the answer must still come.
local_end() {
    try "$CONNECT" -n 127.0.0.1 "${PORT[sshd]}" </dev/null
    want_status 0
    want_banner
}

twenty() { # ROUTE
    local i pids=() failed=0
    take "$1"
    head -c 1000000 "$WORK/up" >"$CASE/part"
    for i in {1..20}; do
        timeout -k 5 "$LIMIT" env "${WITH[@]}" ssh "${SSH_VIA[@]}" target "cat && echo end of $i" \
            <"$CASE/part" >"$CASE/$i.out" 2>"$CASE/$i.err" &
        pids+=($!)
    done
    for i in {1..20}; do
        if ! wait "${pids[i - 1]}"; then
            failed=$((failed + 1))
            sed "s/^/session $i: /" "$CASE/$i.err"
            continue
        fi
        { cat "$CASE/part" && echo "end of $i"; } >"$CASE/whole"
        cmp "$CASE/whole" "$CASE/$i.out" || failed=$((failed + 1))
    done
    [ "$failed" -eq 0 ] || fail "$failed of 20 sessions failed"
    [ "$(news "$SERVER" | grep -Ec -e "$SEEN")" -ge 20 ] || fail "$SERVER logged fewer than 20 sessions"
}

# shellcheck shell=bash
# Sessions over a bad link. Sourced by `run`, which has set these two.
: "${here:?}" "${binary:?}"

started=$SECONDS
work=$(mktemp -d /tmp/connect-faults.XXXXXX)
# Names of this run alone: near has the program, mid the proxies, far the targets.
near=faults-$$-near mid=faults-$$-mid far=faults-$$-far
servers=()
end() {
  trap - EXIT
  kill "${servers[@]}" 2>/dev/null || true
  for space in "$near" "$mid" "$far"; do
    ip netns pids "$space" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
    ip netns del "$space" 2>/dev/null || true
  done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

in_space() { ip netns exec "$@"; }
until_there() { # FILE
  for _ in {1..200}; do
    [ ! -e "$1" ] || return 0
    sleep 0.05
  done
  die "waited in vain for $1"
}

# ---- three machines ------------------------------------------------------------------------------------------------

for space in "$near" "$mid" "$far"; do
  ip netns add "$space"
  ip -n "$space" link set lo up
done
mkfifo "$work/link"
exec {link}<>"$work/link"
in_space "$mid" perl "$here/link.pl" bad0 bad1 <"$work/link" >"$work/link.ready" &
servers+=($!)
for _ in {1..200}; do
  [ ! -s "$work/link.ready" ] || break
  sleep 0.05
done
ip -n "$mid" link set bad0 netns "$near"
ip -n "$near" addr add 10.99.1.1/24 dev bad0
ip -n "$near" link set bad0 up
ip -n "$mid" addr add 10.99.1.2/24 dev bad1
ip -n "$mid" link set bad1 up
ip -n "$mid" link add good0 type veth peer name good1 netns "$far"
ip -n "$mid" addr add 10.99.2.2/24 dev good0
ip -n "$mid" link set good0 up
ip -n "$far" addr add 10.99.2.3/24 dev good1
ip -n "$far" link set good1 up
ip -n "$near" route add default via 10.99.1.2
ip -n "$far" route add default via 10.99.2.2
in_space "$mid" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
in_space "$mid" microsocks -i 10.99.1.2 -p 1080 >/dev/null 2>&1 &
servers+=($!)
printf '%s\n' 'Port 8888' 'Listen 10.99.1.2' 'Allow 10.99.1.0/24' 'Timeout 600' 'LogLevel Critical' >"$work/tinyproxy"
in_space "$mid" tinyproxy -d -c "$work/tinyproxy" >/dev/null &
servers+=($!)

behave() { printf '%s\n' "$*" >&"$link"; } # LOSS...: see link.pl
sysctl_in() { in_space "$1" sh -c "echo $3 >/proc/sys/net/ipv4/$2"; }

# ---- sessions ------------------------------------------------------------------------------------------------------

SIZE=1500000
head -c $SIZE /dev/urandom >"$work/up"
head -c $SIZE /dev/urandom >"$work/down"
: >"$work/nothing"
passed=0 failed=0 number=0

# How a session gets to the target. The port is that of the target, and of the local listener.
ways='stdio copy port socks http listen'
words() { # WAY PORT
  case $1 in
    stdio | copy) echo "10.99.2.3 $2" ;;
    port) echo "-p $2 10.99.2.3 $2" ;;
    listen) echo "--listen $2 10.99.2.3 $2" ;;
    socks) echo "-S 10.99.1.2:1080 10.99.2.3 $2" ;;
    http) echo "-H 10.99.1.2:8888 10.99.2.3 $2" ;;
  esac
}

# Runs a session in the background; what came of it is in the files CASE.{near,far,code,said}.
session() { # CASE WAY GIVE TAKE OPTION...
  local name=$1 way=$2 give=$3 take=$4 relay=splice port=$((5000 + number)) near_end
  shift 4
  [ "$way" != copy ] || relay=copy
  in_space "$far" perl "$here/peer.pl" "${far_gives:-$take}" "$give" "$work/$name.far" listen 10.99.2.3 "$port" 2>/dev/null &
  until_there "$work/$name.far.ready"
  local -a program
  read -ra program <<<"env -i CONNECT_RELAY=$relay HOME=/nonexistent $binary $* $(words "$way" "$port")"
  near_end=(in_space "$near" perl "$here/peer.pl" "$give" "$take" "$work/$name.near")
  local code=0 pid
  case $way in
    port | listen)
      ip netns exec "$near" "${program[@]}" 2>"$work/$name.said" &
      pid=$!
      "${near_end[@]}" connect "$port" 2>/dev/null || true
      # It lives on, and is told to end.
      [ "$way" != listen ] || { sleep 0.3; kill "$pid"; }
      wait "$pid" || code=$?
      ;;
    *) "${near_end[@]}" run "${program[@]}" 2>"$work/$name.said" || code=$? ;;
  esac
  # The target may have to be told by its own timers, which nobody waits for.
  echo "$code" >"$work/$name.code"
}

# Each way at once, over the link as it is now; the rest of the words are options.
start() { # CASE WAYS GIVE TAKE OPTION...
  local case=$1 list=$2 way
  shift 2
  sessions=()
  for way in $list; do
    session "$case.$way" "$way" "$work/$1" "$work/$2" "${@:3}" &
    sessions+=($!)
    number=$((number + 1))
  done
}

read_word() { # FILE: its first word, or none
  [ -e "$1" ] && cut -d' ' -f1 <"$1" || echo none
}

# Waits for the sessions. "whole": all has arrived, and zero. Another word: what has to be said, and the exit code.
expect() { # CASE WAYS CODE [WORDS]
  local case=$1 list=$2 code=$3 said=${4-} way
  wait "${sessions[@]}"
  for way in $list; do
    local name=$case.$way near_saw far_saw its bad=
    if [ "$code" = 0 ]; then
      # The target says it a moment later.
      for _ in {1..100}; do [ "$(read_word "$work/$name.far")" = none ] || break; sleep 0.05; done
    fi
    near_saw=$(read_word "$work/$name.near") far_saw=$(read_word "$work/$name.far") its=$(cat "$work/$name.code")
    if [ "$code" = 0 ]; then
      [ "$its $near_saw $far_saw" = '0 whole whole' ] || bad=1
      [ ! -s "$work/$name.said" ] || bad=1
    else
      # Who stands behind a listener cannot see the exit code: it has to see a break.
      case $way in
        listen) [ "$near_saw" = broken ] || bad=1 ;;
        port) [ "$its $near_saw" = "$code broken" ] || bad=1 ;;
        *) [ "$its" = "$code" ] || bad=1 ;;
      esac
      [ "$(grep -c "^connect: .*$said" "$work/$name.said")" = 1 ] || bad=1
      [ "$near_saw" != wrong ] && [ "$far_saw" != wrong ] || bad=1
    fi
    if [ -z "$bad" ]; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      printf 'FAILED %s: exit %s, near %s, far %s: %s\n' "$name" "$its" "$near_saw" "$far_saw" "$(cat "$work/$name.said")"
    fi
  done
  printf '%s: %s s\n' "$case" $((SECONDS - started))
}

# ---- cases ---------------------------------------------------------------------------------------------------------

all_arrives() { # CASE, then as for the link
  behave "${*:2}"
  start "$1" "$ways" up down
  expect "$1" "$ways" 0
}

# A session that is under way on a slow link, before something happens to it.
begin() { # as for start
  behave delay 100
  start "$@"
  sleep 1.4
}

all_arrives good loss 0
all_arrives lossy loss 2 delay 5 jitter 5
all_arrives reordered late 10 twice 3 delay 5
all_arrives spoilt spoilt 1 delay 2

# A link that is gone for two seconds.
begin interrupted "$ways" up down
behave loss 100
sleep 2
behave delay 5
expect interrupted "$ways" 0

# One that does not come back, and one that lets no large packet through and tells nobody.
begin dead "$ways" up down --idle-timeout 3
behave loss 100
expect dead "$ways" 7 'moved nothing for 3 seconds'
behave most 1000
start black-hole "$ways" up down --idle-timeout 3
expect black-hole "$ways" 7 'moved nothing for 3 seconds'

# The targets reset. What a proxy makes of that is its own affair.
begin reset 'stdio copy port listen' up down
ip netns pids "$far" | xargs kill -USR1
expect reset 'stdio copy port listen' 8 'broke'

# Nobody has said how long to wait: then the system's timers tell of a dead link. Here they are short.
for setting in tcp_retries2=3 tcp_keepalive_time=1 tcp_keepalive_intvl=1 tcp_keepalive_probes=2; do
  in_space "$near" sh -c "echo ${setting#*=} >/proc/sys/net/ipv4/${setting%=*}"
done
begin dead-while-sending "$ways" up nothing
behave loss 100
expect dead-while-sending "$ways" 8 'broke'
# With nothing to send only keep-alive can tell that the other end has vanished.
behave loss 0
far_gives=$work/nothing
start vanished "$ways" nothing down
sleep 1
behave loss 100
expect vanished "$ways" 8 'broke'

printf 'network: %s sessions as they should be, %s not, in %s s\n' "$passed" "$failed" $((SECONDS - started))
[ "$failed" = 0 ]

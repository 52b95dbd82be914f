#!/bin/sh
# Replaces the netcat in OpenSSH's own tests. As a SOCKS client (-x PROXY -X4|-X5 HOST PORT) it runs
# the program under test. For everything else it runs the real netcat: the tests need a plain client
# that does not half-close, because their listening netcat stops mid-file when it receives EOF.
how=
case "$1 $3" in
"-x -X4A") how="-4 -R remote" ;;
"-x -X4") how="-4 -R local" ;;
"-x -X5") how="-5 -R remote" ;;
esac
if [ -n "$how" ]; then
	echo socks >>"$CONNECT_RUNS"
	# $how contains several words and must be split.
	# shellcheck disable=SC2086
	exec "$CONNECT_BINARY" $how -S "$2" "$4" "$5"
fi
exec "$(dirname "$0")/netcat.real" "$@"

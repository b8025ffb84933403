#!/bin/sh
# Runs the program that stands in $1 and compares what it prints.
set -eu

check() { # TEXT EXPECTED
	got=$(printf "$1" | "$PROGRAM")
	if [ "$got" != "$2" ]; then
		echo "for \"$1\" it prints $got and not $2" >&2
		exit 1
	fi
}

PROGRAM=$1
check 'one two\n\tthree\n' '{"-":{"lines":2,"words":3,"bytes":15}}'
check '' '{"-":{"lines":0,"words":0,"bytes":0}}'
echo "2 tests passed"

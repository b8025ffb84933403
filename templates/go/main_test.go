package main

import "testing"

func TestCount(t *testing.T) {
	for text, want := range map[string]counts{
		"one two\n\tthree\n": {Lines: 2, Words: 3, Bytes: 15},
		"":                   {},
	} {
		if got := count([]byte(text)); got != want {
			t.Errorf("count(%q) is %+v, want %+v", text, got, want)
		}
	}
}

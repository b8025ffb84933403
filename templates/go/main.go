// Counts lines, words and bytes of files, or of standard input, and prints JSON.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

type counts struct {
	Lines int `json:"lines"`
	Words int `json:"words"`
	Bytes int `json:"bytes"`
}

func count(data []byte) counts {
	return counts{Lines: bytes.Count(data, []byte("\n")), Words: len(bytes.Fields(data)), Bytes: len(data)}
}

func read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func run(paths []string) error {
	if len(paths) == 0 {
		paths = []string{"-"}
	}
	all := map[string]counts{}
	for _, path := range paths {
		data, err := read(path)
		if err != nil {
			return err
		}
		all[path] = count(data)
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

"""Counts lines, words and bytes of files, or of standard input, and prints JSON."""

import json
import sys


def count(data: bytes) -> dict[str, int]:
    return {"lines": data.count(b"\n"), "words": len(data.split()), "bytes": len(data)}


def main(paths: list[str]) -> int:
    counts = {}
    for path in paths or ["-"]:
        if path == "-":
            counts[path] = count(sys.stdin.buffer.read())
        else:
            with open(path, "rb") as file:
                counts[path] = count(file.read())
    print(json.dumps(counts, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

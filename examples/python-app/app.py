"""Counts the words of its standard input, the most frequent first."""

import sys


def count(text):
    counts = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


if __name__ == "__main__":
    for word, number in count(sys.stdin.read()):
        print(number, word)

import unittest

from app import count


class CountTest(unittest.TestCase):
    def test_words_are_parted_by_any_space(self):
        self.assertEqual(count(b"one two\n\tthree\n"), {"lines": 2, "words": 3, "bytes": 15})

    def test_nothing_is_nothing(self):
        self.assertEqual(count(b""), {"lines": 0, "words": 0, "bytes": 0})


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""docs/TROUBLESHOOTING.md is sorted by what Loom prints: each of its headings is really in the sources."""

import pathlib
import re
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("base", "envelope", "trace", "host", "bridge", "broker", "sdk-c", "tools/loom")
HEADING = re.compile(r"^### `(.+)`$", re.M)


def literals():
    """Every string of the sources as it is printed, adjacent ones joined, with … for what printf() fills in."""
    found = []
    for folder in FOLDERS:
        for path in (SOURCE / folder).rglob("*.[ch]"):
            code = re.sub(r'"\s*\n?\s*"', "", path.read_text())
            for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', code):
                text = text.replace('\\"', '"').replace("\\n", "")
                found.append(re.sub(r"%[-+ #0]*[\d.*]*(?:hh|h|ll|l|z|j)?[a-zA-Z]", "…", text))
    return found


class Texts(unittest.TestCase):
    def test_each_text_is_in_the_sources(self):
        headings = HEADING.findall((SOURCE / "docs/TROUBLESHOOTING.md").read_text())
        self.assertGreater(len(headings), 15)
        printed = literals()
        for heading in headings:
            pieces = [piece for piece in heading.split("…") if len(piece.strip(' :;,."')) > 3]
            self.assertTrue(pieces, heading)
            for piece in pieces:
                with self.subTest(text=heading, piece=piece):
                    self.assertTrue(any(piece.strip() in text for text in printed))

    def test_whoever_prints_a_text_that_a_page_quotes_prints_all_of_it_in_order(self):
        """The pieces of one heading come from one string, or from ones that follow each other."""
        printed = literals()
        whole = 0
        for heading in HEADING.findall((SOURCE / "docs/TROUBLESHOOTING.md").read_text()):
            pattern = re.compile(".*?".join(re.escape(piece) for piece in heading.split("…")))
            whole += any(pattern.search(text) for text in printed)
        self.assertGreater(whole, 12)


if __name__ == "__main__":
    unittest.main()

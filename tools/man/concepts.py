# SPDX-License-Identifier: Apache-2.0
"""loom(7), from docs/CONCEPTS.md: headings, paragraphs, lists, code and tables.

    concepts.py SOURCE VERSION OUT
"""
import pathlib
import re
import sys

from roff import Page


def plain(text):
    """Links without where they lead, which a page cannot follow."""
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)


def put(page, block):
    if block.startswith("## "):
        page.section(block[3:].upper())
    elif block.startswith("```"):
        page.verbatim("\n".join(block.split("\n")[1:-1]))
    elif block.startswith("| "):
        for row in block.split("\n")[2:]:
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            page.tagged(plain(cells[0]).strip("`*"), plain(" ".join(cells[1:])))
    elif block.startswith("- "):
        for item in re.split(r"\n- ", block[2:]):
            page.raw(".IP \\(bu 2")
            page.raw(*[line for line in Lines().of(plain(item))])
    else:
        page.paragraph(plain(block))


class Lines:
    """The lines of a paragraph, escaped."""

    def of(self, text):
        page = Page("x", 7, "0", "x")
        page.section("x")
        start = len(page.lines)
        page.paragraph(text)
        return page.lines[start:]


def main():
    source, version, out = sys.argv[1:]
    text = pathlib.Path(source).read_text()
    text = re.sub(r"^---\n.*?\n---\n", "", text, flags=re.S)
    page = Page("loom", 7, version, "concepts of the Loom message bus")
    page.section("DESCRIPTION")
    for block in re.findall(r"```.*?```|(?:(?!\n\s*\n|```).)+", text, re.S):
        block = block.strip("\n")
        if block.strip() and not block.startswith("# "):
            put(page, block)
    page.section("SEE ALSO")
    page.raw('.BR "loom" (1),', '.BR "loom\\-broker" (1),', '.BR "loom\\-bridge" (1),', '.BR "loom.toml" (5),', '.BR "loom_loom.h" (3)')
    pathlib.Path(out).write_text(page.text())


if __name__ == "__main__":
    main()

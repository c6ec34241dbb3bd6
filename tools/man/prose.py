# SPDX-License-Identifier: Apache-2.0
"""The prose of header comments: paragraphs, lists and tables, told apart by how they are laid out."""
import re

ERROR = re.compile(r"\b(LOOM_E[A-Z]+)\b(?:\s+\([^)]*\))?(:\s+[^.]*(?:\.(?=\s|$)|$))?")


def put(page, text):
    """A comment on a page: what is indented or a table stays as it is laid out."""
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.split("\n")
        free = [line.startswith(("  ", "|", "\t", "└")) for line in lines]
        start = 0
        while start < len(lines):
            end = start
            while end < len(lines) and free[end] == free[start]:
                end += 1
            piece = "\n".join(lines[start:end])
            (page.verbatim if free[start] else page.paragraph)(piece)
            start = end


def without_errors(text):
    """The rest, when what is said of each status stands elsewhere."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        free = any(line.startswith(("  ", "|", "\t")) for line in block.split("\n"))
        rest = block if free else re.sub(r"\s+", " ", re.sub(r"(?<![\w(] )(?<!or )" + ERROR.pattern + r"[.,]?", "", " ".join(block.split()))).strip()
        if len(rest) > 1:
            blocks.append(rest)
    return "\n\n".join(blocks) or text


def first_sentence(text):
    """Without its stop; a colon or a semicolon ends it, too."""
    flat = " ".join(text.split())
    found = re.match(r"(.*?)(?:[.;:](?=\s|$)|$)", flat)
    return found.group(1) if found else flat


def lower_first(text):
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def errors(text):
    """(code, what it means here) of every status that the prose names; the meaning may be empty."""
    flat, found = " ".join(text.split()), {}
    for match in ERROR.finditer(flat):
        meaning = (match.group(2) or "").strip(": .").strip()
        found.setdefault(match.group(1), "")
        found[match.group(1)] = found[match.group(1)] or meaning
    return found

# SPDX-License-Identifier: Apache-2.0
"""Reads libloom's public headers: what they declare, and the prose above it.

They are written for this: one declaration a statement, a comment above it that tells of it and of those that follow without a
blank line between, a comment behind it on the same line, sections between `/* ---- name ---- */`.
"""
import pathlib
import re

FOLDERS = ("base", "envelope", "trace", "sdk-c")


class Function:
    """One function: its prototype in pieces, and what is said of it."""

    def __init__(self, returns, name, params, header, section):
        self.returns, self.name, self.params = returns, name, params
        self.header, self.section = header, section
        self.doc, self.note = "", ""  # above it (and its group), behind it
        self.group = []               # all that share the comment above, itself included

    def prototype(self):
        space = "" if self.returns.endswith("*") else " "
        return f"{self.returns}{space}{self.name}({', '.join(self.params) or 'void'});"


class Type:
    """A struct, enum, union or typedef, or a run of macros, as it stands in the header."""

    def __init__(self, name, text, doc, header, section):
        self.name, self.text, self.doc, self.header, self.section = name, text, doc, header, section


class Header:
    def __init__(self, path):
        self.path, self.name = path, f"loom/{path.name}"
        self.intro, self.functions, self.types = "", [], []


def split_params(text):
    """`a, b (*f)(c, d)` at the commas that are not inside parentheses."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts = [" ".join(p.split()) for p in parts + [text[start:]]]
    return [] if parts in (["void"], [""]) else parts


def comment_text(comment):
    """The words of a comment, its line breaks kept, without its decoration."""
    lines = comment[2:-2].strip("\n").splitlines() or [""]
    return "\n".join([lines[0].strip()] + [re.sub(r"^ {0,2}\*? ?", "", line).rstrip() if line.lstrip().startswith("*")
                                           else line.strip() for line in lines[1:]]).strip()


TOKEN = re.compile(r"/\*.*?\*/|\n[ \t]*\n|#(?:[^\n\\]|\\.)*(?:\\\n(?:[^\n\\]|\\.)*)*|LOOM_BEGIN_DECLS|LOOM_END_DECLS|[^\s#/][^;{]*?(?:\{.*?\n\}[^;]*)?;",
                   re.S)


def statements(text):
    """Comments, blank lines, directives and declarations, in their order, each with where it ends."""
    at = 0
    while (found := TOKEN.search(text, at)) is not None:
        yield found.group(), found.start()
        at = found.end() - (1 if found.group().isspace() else 0)  # the newline may begin the next blank line


def read_function(declaration):
    text = re.sub(r"\b(LOOM_API|LOOM_MUST_CHECK)\b|__attribute__\(\(.*\)\)(?=;)", "", declaration.replace("\n", " "))
    text = re.sub(r"/\*.*?\*/", "", text)
    found = re.match(r"\s*([\w\s*]+?[\s*])(loom_\w+)\((.*)\)\s*;\s*$", text)
    if found is None:
        return None
    returns = re.sub(r"\s*\*", " *", " ".join(found.group(1).split()))
    return returns, found.group(2), split_params(found.group(3))


def type_name(declaration):
    for pattern in (r"typedef\s+(?:struct|enum|union)\s+\w*\s*\{.*\}\s*(\w+)\s*;", r"typedef\s.*?\(\*\s*(\w+)\)\s*\(",
                    r"typedef\s+(?:struct|enum|union)\s+\w+\s+(\w+)\s*;", r"(?:struct|enum|union)\s+(\w+)\s*\{", r"typedef\s.*\b(\w+)\s*;"):
        if (found := re.search(pattern, declaration, re.S)) is not None:
            return found.group(1)
    return None


def read_header(path):
    header, text = Header(path), path.read_text()
    if "#ifdef __cplusplus\n\n#include" in text:
        text = text[:text.index("#ifdef __cplusplus\n\n#include")]  # inline C++ and macros of <loom/span.h>
    section, doc, group, last_end, last = "", "", [], 0, None
    for token, start in statements(text):
        if token.startswith("/*"):
            words = comment_text(token)
            same_line = last is not None and "\n" not in text[last_end:start]
            if words.startswith("SPDX"):
                continue
            if same_line and isinstance(last, Function):
                last.note = words
            elif same_line and isinstance(last, Type):
                last.doc = f"{last.doc}\n{words}".strip()
            elif (found := re.match(r"---- (.*) ----$", words)) is not None:
                section, doc, group = found.group(1), "", []
            else:
                doc, group = words, []
                header.intro = header.intro or words
            continue
        if token.isspace():
            if not group or last is not None:
                doc, group, last = ("", [], None) if doc != header.intro or last is not None else ("", [], None)
            continue
        if token.startswith("#"):
            continue
        if "LOOM_API" in token and (read := read_function(token)) is not None:
            last = Function(*read, header, section)
            last.doc, last.group = doc, group
            group.append(last)
            header.functions.append(last)
        elif (name := type_name(token)) is not None:
            last = Type(name, token, doc, header, section)
            header.types.append(last)
        last_end = start + len(token)
    return header


def read_all(root):
    """Every public header, by name."""
    paths = [p for folder in FOLDERS for p in pathlib.Path(root, folder, "include", "loom").glob("*.h")]
    return [read_header(p) for p in sorted(paths, key=lambda p: p.name)]

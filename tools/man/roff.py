# SPDX-License-Identifier: Apache-2.0
"""A manual page in the making: man(7) macros, with everything escaped that is text."""
import datetime
import os
import re


def escape(text):
    """Text as it is to be shown. Dashes are ones that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti").replace("`", "\\(ga")
    text = text.replace("'", "\\(aq")
    return re.sub(r"^\.", r"\\&.", text, flags=re.M)


def quoted(text):
    return '"' + escape(text).replace('"', '\\(dq') + '"'


def inline(text):
    """Escaped, with what stands between backquotes and asterisks in bold."""
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", text)
    marks = [len(p) - len(p.lstrip("`")) or (2 if p.startswith("**") else 0) for p in parts]
    return "".join(f"\\fB{escape(p[n:-n])}\\fR" if n else escape(p) for p, n in zip(parts, marks))


class Page:
    def __init__(self, name, section, version, summary):
        stamp = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or datetime.datetime.now().timestamp()),
                                                datetime.timezone.utc)
        self.lines = [f'.TH {quoted(name.upper())} {section} {stamp:%Y-%m-%d} "Loom {version}" "Loom manual"',
                      ".SH NAME", f"{escape(name)} \\- {escape(summary)}"]

    def section(self, title):
        self.lines.append(f".SH {quoted(title)}")

    def subsection(self, title):
        self.lines.append(f".SS {quoted(title)}")

    def raw(self, *lines):
        self.lines.extend(lines)

    def paragraph(self, text):
        first = self.lines[-1].startswith((".SH", ".SS"))  # .PP would be one too many there
        self.lines.extend(([] if first else [".PP"]) + [line.strip() for line in inline(text).split("\n") if line.strip()])

    def verbatim(self, text):
        first = self.lines[-1].startswith((".SH", ".SS"))
        self.lines.extend(([] if first else [".PP"]) + [".nf", *(inline_free(line) for line in text.rstrip("\n").split("\n")), ".fi"])

    def tagged(self, tag, text):
        self.lines.extend([".TP", f"\\fB{escape(tag)}\\fR", *[line.strip() for line in inline(text).split("\n") if line.strip()]])

    def text(self):
        return "\n".join(self.lines) + "\n"


def inline_free(line):
    """A line as it stands; an empty one keeps its height."""
    return escape(line) if line.strip() else "\\&"

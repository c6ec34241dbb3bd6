# SPDX-License-Identifier: Apache-2.0
"""Section 1: a page from a program's --help, which every program of Loom prints in the same form.

    program.py NAME SUMMARY VERSION OUT PROGRAM [VERB…]
"""
import os
import pathlib
import re
import subprocess
import sys

from roff import Page

OPTION = re.compile(r"^ {2,6}(-\w, )?--?[\w-]")
TITLES = {"Exit codes": "EXIT STATUS", "Exit status": "EXIT STATUS", "Examples": "EXAMPLES", "Environment": "ENVIRONMENT", "Files": "FILES",
          "Configuration": "CONFIGURATION", "Signals": "SIGNALS"}


def blocks_of(text):
    """(heading, lines) of each part. A heading begins its line and ends in a colon, with something indented below it."""
    parts, lines = [["", []]], text.splitlines()
    for number, line in enumerate(lines):
        below = next((other for other in lines[number + 1:number + 2] if other.strip()), "")
        if re.match(r"^[A-Z-].*:$", line) and below.startswith("  "):
            parts.append([line[:-1], []])
        else:
            parts[-1][1].append(line)
    return parts


def put_options(page, title, lines):
    page.subsection(title)
    entries = []
    for line in lines:
        if OPTION.match(line):
            found = re.match(r"^\s+(\S.*?)(?:\s{2,}(\S.*))?$", line)
            entries.append([found.group(1), [found.group(2) or ""]])
        elif line.strip() and entries:
            entries[-1][1].append(line.strip())
    for tag, text in entries:
        page.tagged(tag, " ".join(t for t in text if t) or " ")


def put_block(page, title, lines):
    while lines and not lines[-1].strip():
        lines.pop()
    known = TITLES.get(title)
    if known is None:
        page.subsection(title)
    else:
        page.section(known)
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    page.verbatim("\n".join(line[indent:] for line in lines))


def put_synopsis(page, usage):
    page.section("SYNOPSIS")
    page.raw(".nf")
    for line in usage:
        program, _, rest = re.sub(r"^Usage:\s*", "", line).strip().partition(" ")
        page.raw(f"\\fB{program}\\fR {rest}".replace("-", "\\-").replace("\\\\-", "\\-"))
    page.raw(".fi")


def make(name, summary, version, text):
    page = Page(name, 1, version, summary)
    parts = blocks_of(text)
    usage = [line for line in parts[0][1] if line.strip()]
    end = next((i for i, line in enumerate(parts[0][1]) if not line.strip()), len(parts[0][1]))
    usage, rest = parts[0][1][:end], "\n".join(parts[0][1][end:]).strip()
    put_synopsis(page, usage)
    page.section("DESCRIPTION")
    for paragraph in re.split(r"\n\s*\n", rest):
        (page.verbatim if paragraph.startswith("  ") else page.paragraph)(paragraph)
    started = False
    for title, lines in parts[1:]:
        if title not in TITLES and any(OPTION.match(line) for line in lines):
            if not started:
                page.section("OPTIONS")
                started = True
            put_options(page, title, lines)
        else:
            put_block(page, title, lines)
    page.section("SEE ALSO")
    others = [other for other in ("loom", "loom-broker") if other != name]
    page.raw(*(f'.BR "{other}" (1),'.replace("-", "\\-") for other in others), '.BR "loom.toml" (5),', '.BR "loom" (7)')
    return page.text()


def main():
    name, summary, version, out, *command = sys.argv[1:]
    environment = dict(os.environ, COLUMNS="100", LC_ALL="C.UTF-8", NO_COLOR="1")
    done = subprocess.run([*command, "--help"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout.startswith("Usage:"):
        sys.exit(f"{' '.join(command)} --help: {done.returncode}\n{done.stdout}{done.stderr}")
    pathlib.Path(out).write_text(make(name, summary, version, done.stdout))


if __name__ == "__main__":
    main()

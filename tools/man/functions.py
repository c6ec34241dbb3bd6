# SPDX-License-Identifier: Apache-2.0
"""Section 3: a page for each public function of libloom, and one for each header.

    functions.py SOURCE_ROOT OUT_DIR VERSION
"""
import pathlib
import re
import sys

import headers
import prose
from roff import Page, escape, quoted

STATUS = re.compile(r'X\((\w+), \d+, "([^"]+)"\)')


def summary_of(function):
    """A line for whatis."""
    if function.doc and len(function.group) == 1:
        text = prose.first_sentence(function.doc)
    elif function.note and not function.note.startswith(("NULL", "returns", '"')):
        text = prose.first_sentence(function.note)
    elif function.doc and function is function.group[0]:
        text = prose.first_sentence(function.doc)
    else:
        text = ""
    if len(text) < 8 or len(text) > 110 or text.startswith(("LOOM_", "NULL", "The same", "As ", "Whether the same")):
        text = named(function)
    return prose.lower_first(text)


def named(function):
    """`loom_envelope_topic`: topic of an envelope. `loom_meter_create`: create a meter."""
    words = function.name.split("_")[1:]
    first = re.search(r"loom_(\w+)", function.params[0]) if function.params else None
    noun = first.group(1).split("_") if first else []
    rest = words[len(noun):] if words[:len(noun)] == noun and len(words) > len(noun) else words[1:] or words
    noun = " ".join(words[:len(words) - len(rest)]) or words[0]
    verbs = ("create", "open", "close", "free", "ref", "unref", "fini", "get", "set", "put", "add", "end", "begin", "start", "decode",
             "write", "record", "parse", "format", "generate", "remove", "check", "unsubscribe", "extract", "inject")
    article = "an" if noun[0] in "aeiou" else "a"
    if rest[0] == "ref":
        return f"take a reference to {article} {noun}"
    if rest[0] == "unref":
        return f"drop a reference to {article} {noun}"
    if rest[0] in verbs:
        return " ".join([rest[0], article, noun, *(["by", *rest[1:]] if rest[1:] else [])])
    return f"{' '.join(rest)} of {article} {noun}"


def prototype(function):
    """In bold, names of parameters in italics."""
    out = [f"\\fB{escape(function.returns)}{'' if function.returns.endswith('*') else ' '}{escape(function.name)}(\\fR"]
    for number, param in enumerate(function.params or ["void"]):
        found = re.match(r"(.*\(\*\s*)(\w+)(\).*)$", param) or re.match(r"(.*?)(\w+)((?:\[.*\])?)$", param)
        comma = "\\fB, \\fR" if number > 0 else ""
        if param in ("void", "...") or found is None:
            out.append(f"{comma}\\fB{escape(param)}\\fR")
        else:
            out.append(f"{comma}\\fB{escape(found.group(1))}\\fI{escape(found.group(2))}\\fB{escape(found.group(3))}\\fR")
    if len(function.prototype()) > 76:  # a parameter a line
        return "\n".join([out[0], *("    " + part.removeprefix("\\fB, \\fR") + ("\\fB,\\fR" if part is not out[-1] else "\\fB);\\fR")
                                    for part in out[1:])])
    return "".join(out) + "\\fB);\\fR"


def types_of(function, all_types):
    """The structs that its parameters point to, and what it returns; those that have members."""
    names = re.findall(r"loom_\w+", " ".join([function.returns.replace("loom_status", ""), *function.params]))
    found = [all_types[name] for name in dict.fromkeys(names) if name in all_types]
    return [t for t in found if "{" in t.text or "(*" in t.text]


def function_page(function, version, all_types, texts):
    page = Page(function.name, 3, version, summary_of(function))
    page.section("SYNOPSIS")
    page.raw(".nf", f"\\fB#include <{escape(function.header.name)}>\\fR", "\\&")
    page.raw(*(prototype(f) for f in (function.group if len(function.group) <= 6 else [function])), ".fi")
    page.paragraph("Link with `-lloom`.")
    page.section("DESCRIPTION")
    doc = prose.without_errors(function.doc) if function.returns == "loom_status" else function.doc
    prose.put(page, doc or summary_of(function)[:1].upper() + summary_of(function)[1:] + ".")
    for other in function.group:
        if other.note:
            page.tagged(f"{other.name}()", other.note)
    put_return(page, function, texts)
    shown = types_of(function, all_types)
    if shown:
        page.section("TYPES")
        for one in shown:
            if one.doc:
                prose.put(page, one.doc)
            page.verbatim(one.text)
    page.section("NOTES")
    page.paragraph(f"NULL for any pointer does not crash. Who may call what from which thread is told in `{page_of(function.header)}`(3).")
    put_see_also(page, function)
    return page


def put_return(page, function, texts):
    if function.returns != "loom_status":
        return
    page.section("RETURN VALUE")
    page.paragraph("`LOOM_OK`, or a status that `loom_status_text`(3) has a text for. After `LOOM_EINVAL` and `LOOM_ETOOBIG` "
                   "`loom_last_error`(3) says what was wrong.")
    named_here = prose.errors(function.doc)
    if named_here:
        page.section("ERRORS")
        for code, meaning in named_here.items():
            text = meaning or texts.get(code[5:], "")
            page.tagged(code, text[:1].upper() + text[1:] + "." if text else "See above.")


def put_see_also(page, function):
    near = [f for f in function.header.functions if f.section == function.section and f is not function][:8]
    page.section("SEE ALSO")
    links = [f"{page_of(function.header)}(3)", *(f"{f.name}(3)" for f in near), "loom(7)"]
    for number, link in enumerate(links):
        name, section = link[:-3], link[-3:]
        page.raw(f".BR {quoted(name)} {section}{',' if number + 1 < len(links) else ''}")


def page_of(header):
    return header.name.replace("/", "_")


def header_summary(header):
    text = " ".join(header.intro.split()).split(". ")[0].rstrip(".")
    return prose.lower_first(text if len(text) < 110 else prose.first_sentence(text))


def header_page(header, version):
    page = Page(page_of(header), 3, version, header_summary(header))
    page.section("SYNOPSIS")
    page.raw(".nf", f"\\fB#include <{escape(header.name)}>\\fR", ".fi")
    page.section("DESCRIPTION")
    prose.put(page, header.intro)
    section = None
    for function in header.functions:
        if function.section != section:
            section = function.section
            page.section(section.upper() if section else "FUNCTIONS")
        page.tagged(f"{function.name}(3)", summary_of(function))
    page.section("SEE ALSO")
    page.raw('.BR "loom" (7)')
    return page


def main():
    root, out, version = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("loom*.3"):
        old.unlink()
    found = headers.read_all(root)
    all_types = {t.name: t for h in found for t in h.types}
    texts = dict(STATUS.findall((root / "base/include/loom/status.h").read_text()))
    count = 0
    for header in found:
        if header.path.name == "trace_inline.h":
            continue
        (out / f"{page_of(header)}.3").write_text(header_page(header, version).text())
        for function in header.functions:
            (out / f"{function.name}.3").write_text(function_page(function, version, all_types, texts).text())
            count += 1
    if count < 200:
        sys.exit(f"only {count} functions were found: headers.py does not read them all")


if __name__ == "__main__":
    main()

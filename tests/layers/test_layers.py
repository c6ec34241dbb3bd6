# SPDX-License-Identifier: Apache-2.0
"""Holds every #include of the product against the table "Folders, and who may include whom" of ARCHITECTURE.md.

A row names one or more folders, what they may include, and which headers of other libraries. `a/b/` is the files of that
folder and its public headers (a/b/include/loom); `a/b/*` also what is below it; `a/b/c.h` that one file.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCT = ("base", "envelope", "trace", "host", "bridge", "broker", "sdk-c", "tools", "demos", "examples")
TESTS = ("docs", "unit", "conformance", "fuzz", "integration", "e2e", "layers", "support")
FOREIGN = ("nng", "uv.h", "libwebsockets.h", "llhttp", "openssl", "sqlite3.h", "jansson.h", "curl", "msgpack.h", "sodium.h", "toml++", "wslay",
           "nats", "nghttp2", "zmq.h", "seccomp.h", "elfutils", "event2", "valijson", "nlohmann")
TO_GO = set()  # (folder, what it still includes): to go


def read_table():
    text = (ROOT / "ARCHITECTURE.md").read_text().split("## Folders, and who may include whom")[1].split("\n## ")[0]
    rows = [re.findall(r"`([^`]+)`", cell) for line in text.splitlines() if line.startswith("| `")
            for cell in line.strip("|").split("|")]
    return {folder.rstrip("/"): (may, foreign) for folders, _, may, foreign in zip(*[iter(rows)] * 4) for folder in folders}


def folder_of(file):
    return re.sub(r"/include/loom$", "", str(file.relative_to(ROOT).parent))


def allows(entry, file, folder):
    return entry in (f"{folder}/", str(file.relative_to(ROOT))) or entry.endswith("/*") and f"{folder}/".startswith(entry[:-1])


def check_include(table, public, file, kind, name):
    """What is wrong with the line, or None; and the exception that it takes."""
    folder, (may, foreign) = folder_of(file), table[folder_of(file)]
    library = name.split("/")[0]
    target = ROOT / name if kind == '"' else public.get(name)
    if kind == "<" and library in FOREIGN:
        return None if library in foreign else (library, f"includes <{name}>")
    if kind == "<" and library != "loom":
        return None
    if target is None or not target.exists():
        return name, f"includes {name}, which is no path from the root of the tree"
    to = folder_of(target)
    return None if to == folder or any(allows(m, target, to) for m in may) else (to, f"includes {name}")


def main():
    table, wrong, used = read_table(), [], set()
    files = sorted(f for part in PRODUCT for f in (ROOT / part).rglob("*") if f.suffix in (".c", ".h", ".cpp", ".hpp"))
    public = {f"loom/{f.name}": f for f in files if f.parent.match("include/loom")}
    folders = {folder_of(f) for f in files}
    wrong += [f"{f}/ is not in the table" for f in sorted(folders - set(table))]
    wrong += [f"{f}/ is in the table, and has no sources" for f in sorted(set(table) - folders)]
    wrong += [f"{f}/ has no README.md" for f in sorted(folders | {f"tests/{t}" for t in TESTS})
              if not (ROOT / f / "README.md").exists()]
    for file in (f for f in files if folder_of(f) in table):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*(["<])([^">]+)', line)
            problem = found and check_include(table, public, file, *found.groups())
            if problem and (folder_of(file), problem[0]) in TO_GO:
                used.add((folder_of(file), problem[0]))
            elif problem:
                wrong.append(f"{file.relative_to(ROOT)}:{number} {problem[1]}, which the table does not allow")
    wrong += [f"{folder}/ no longer includes {what}: delete it from TO_GO" for folder, what in sorted(TO_GO - used)]
    print(*wrong, f"{len(files)} files in {len(folders)} folders, {len(wrong)} problems", sep="\n")
    return 1 if wrong or len(files) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())

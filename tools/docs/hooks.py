# SPDX-License-Identifier: Apache-2.0
"""Pages of the tree that are not in docs/, and links that lead out of the site."""
import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[2]
ELSEWHERE = {"WIRE.md": "envelope", "ARCHITECTURE.md": "", "CONTRIBUTING.md": "", "CHANGELOG.md": ""}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|`[^`]*`)+)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)]*)?\)")


def on_files(files, config):
    for name, folder in ELSEWHERE.items():
        if (ROOT / folder / name).exists():
            files.append(File(name, str(ROOT / folder), config["site_dir"], config["use_directory_urls"]))
    return files


def on_nav(nav, config, files):
    return nav


def on_page_markdown(markdown, page, config, files):
    """A link to a file of the tree leads to its page, if it has one; else only its text stays."""
    folder = ELSEWHERE.get(page.file.src_path, "docs")

    def follow(match):
        mark, text, path, anchor = match.groups()
        target = posixpath.normpath(posixpath.join(folder, path))
        name = posixpath.basename(target)
        if target == "README.md":
            return f"[{text}](index.md)"
        if target == f"docs/{name}" or name in ELSEWHERE and target == posixpath.normpath(posixpath.join(ELSEWHERE[name], name)):
            return f"{mark}[{text}]({name}{anchor or ''})" if files.get_file_from_path(name) else text
        return text
    return LINK.sub(follow, markdown)

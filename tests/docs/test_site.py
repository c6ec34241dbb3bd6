# SPDX-License-Identifier: Apache-2.0
"""The site builds without a complaint, finds what is searched for, leads nowhere that is not there, and loads nothing from elsewhere."""

import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DOCS = SOURCE / "docs"


class Links(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.hrefs, self.loaded, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        if tag == "a" and attrs.get("href"):
            self.hrefs.append(attrs["href"])
        if tag in ("script", "img", "iframe") and attrs.get("src") or tag == "link" and attrs.get("rel") == "stylesheet":
            self.loaded.append(attrs.get("src") or attrs["href"])


@unittest.skipUnless(shutil.which("mkdocs"), "needs mkdocs")
class Site(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="loom-site-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        (cls.folder / "0.0").mkdir()  # of an older version
        done = subprocess.run([SOURCE / "tools/docs/build.sh", cls.folder], capture_output=True, text=True, check=False,
                              env=dict(os.environ, LC_ALL="C.UTF-8"))
        if done.returncode != 0 and "not installed" in done.stdout + done.stderr:
            raise unittest.SkipTest("needs mkdocs-material")
        assert done.returncode == 0, done.stdout + done.stderr
        cls.root = pathlib.Path(done.stdout.strip())
        cls.pages = {page: Links(page.read_text()) for page in cls.root.glob("*.html")}

    def test_every_page_of_docs_is_in_it(self):
        built = {page.stem for page in self.pages}
        self.assertLessEqual({page.stem for page in DOCS.glob("*.md")} | {"WIRE", "ARCHITECTURE", "CONTRIBUTING"}, built)

    def test_every_page_is_in_the_navigation(self):
        listed = set(re.findall(r"([\w-]+)\.md$", (SOURCE / "tools/docs/mkdocs.yml").read_text(), re.M))
        self.assertEqual(set(), {page.stem for page in self.pages} - listed - {"404"})

    def test_every_link_leads_somewhere(self):
        for page, links in self.pages.items():
            for href in links.hrefs:
                if re.match(r"[a-z]+:", href) or page.name == "404.html":
                    continue
                path, _, anchor = href.partition("#")
                target = (page.parent / path).resolve() if path else page
                target = target / "index.html" if target.is_dir() else target
                self.assertTrue(target.exists(), f"{page.name}: {href}")
                if anchor and target in self.pages:
                    self.assertIn(anchor, self.pages[target].ids, f"{page.name}: {href}")

    def test_nothing_is_loaded_from_elsewhere(self):
        for page, links in self.pages.items():
            self.assertEqual([], [url for url in links.loaded if "//" in url], page.name)

    def test_it_can_be_searched(self):
        index = json.loads((self.root / "search/search_index.json").read_text())
        text = " ".join(doc["title"] + doc["text"] for doc in index["docs"])
        for word in ("batched_deadline", "loom_last_error", "Troubleshooting", "traceparent"):
            self.assertIn(word, text)

    def test_it_lists_its_versions_the_newest_first(self):
        versions = json.loads((self.root.parent / "versions.json").read_text())
        self.assertEqual([self.root.name, "0.0"], [v["version"] for v in versions])
        self.assertEqual([["latest"], []], [v["aliases"] for v in versions])
        self.assertIn(f"{self.root.name}/index.html", (self.root.parent / "index.html").read_text())


if __name__ == "__main__":
    unittest.main()

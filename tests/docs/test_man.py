# SPDX-License-Identifier: Apache-2.0
"""The manual pages as the build made them: no warning, a line for whatis, nothing missing, examples one a line."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["LOOM_BUILD_DIR"])
MAN = BUILD / "man"
sys.path.insert(0, str(SOURCE / "tools/man"))
import headers  # noqa: E402

ENVIRONMENT = dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="100", MANPAGER="cat", PAGER="cat", MANROFFOPT="")


def run(*command):
    return subprocess.run([str(c) for c in command], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def rendered(path):
    text = run("man", "-l", path).stdout
    return re.sub(r".\x08", "", text)


@unittest.skipUnless(MAN.exists() and list(MAN.glob("*.1")), "this build has no manual pages")
class Pages(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.pages = sorted([*MAN.glob("*.[157]"), *(MAN / "man3").glob("*.3")])

    def in_pieces(self):
        for start in range(0, len(self.pages), 64):
            yield self.pages[start:start + 64]

    @unittest.skipUnless(shutil.which("mandoc"), "needs mandoc")
    def test_mandoc_finds_nothing_to_complain_of(self):
        for pages in self.in_pieces():
            done = run("mandoc", "-Tlint", "-Wwarning", *pages)
            self.assertEqual("", done.stdout + done.stderr)

    @unittest.skipUnless(shutil.which("man"), "needs man-db")
    def test_groff_warns_of_nothing(self):
        for page in [*MAN.glob("*.[157]"), *self.pages[::12]]:
            done = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page)
            self.assertEqual((0, ""), (done.returncode, done.stderr), page)

    @unittest.skipUnless(shutil.which("lexgrog"), "needs man-db")
    def test_whatis_has_a_line_of_each_by_its_own_name(self):
        for pages in self.in_pieces():
            lines = run("lexgrog", *pages).stdout.splitlines()
            for page, line in zip(pages, lines, strict=True):
                name = page.name.rsplit(".", 1)[0]
                self.assertRegex(line, rf': "{re.escape(name)} - .{{7,}}"$')

    def test_every_public_function_has_a_page_with_its_prototype(self):
        functions = [f for h in headers.read_all(SOURCE) for f in h.functions]
        self.assertGreater(len(functions), 200)
        for function in functions:
            text = (MAN / "man3" / f"{function.name}.3").read_text()
            self.assertIn(f"#include <{function.header.name}>", text)
            self.assertIn(".SH \"DESCRIPTION\"", text)

    def test_what_they_refer_to_is_there(self):
        names = {page.name for page in self.pages}
        for page in self.pages:
            for name, section in re.findall(r'^\.BR "([^"]+)" \((\d)\)', page.read_text(), re.M):
                self.assertIn(name.replace("\\-", "-") + "." + section, names, page)

    def test_every_program_and_verb_has_a_page(self):
        listed = re.search(r"^Verbs:\n((?:  .*\n)+)", run(BUILD / "bin/loom", "--help").stdout, re.M).group(1)
        verbs = re.findall(r"^  ([a-z]+) ", listed, re.M)
        self.assertGreater(len(verbs), 15)
        for name in ["loom", "loom-broker", "loom-bridge", *(f"loom-{verb}" for verb in verbs)]:
            self.assertTrue((MAN / f"{name}.1").exists(), name)

    @unittest.skipUnless(shutil.which("man"), "needs man-db")
    def test_examples_stand_one_a_line_as_in_the_help(self):
        for verb in ("sub", "provide", "exec"):
            shown = re.search(r"^Examples:\n((?:  .*\n)+)", run(BUILD / "bin/loom", verb, "--help").stdout, re.M).group(1)
            page = rendered(MAN / f"loom-{verb}.1")
            self.assertIn(f"LOOM-{verb.upper()}(1)", page)
            lines = {line.strip() for line in page.splitlines()}
            for line in shown.splitlines():
                self.assertIn(line.strip(), lines)

    def test_the_settings_are_all_in_loom_toml(self):
        text = (MAN / "loom.toml.5").read_text()
        printed = run("env", "XDG_CONFIG_HOME=/nonexistent", BUILD / "bin/loom-broker", "--check-config").stdout
        keys = re.findall(r"^(\w+) = ", printed, re.M)
        self.assertGreater(len(keys), 30)
        for key in keys:
            self.assertIn(f"\\fB{key}\\fR", text)


if __name__ == "__main__":
    unittest.main()

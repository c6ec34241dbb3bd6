# SPDX-License-Identifier: Apache-2.0
"""The trace libraries as their users get them: installed with Loom, by pip and npm, and the examples of their documents."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent / "libraries"
SOURCE = HERE.parents[2] / "trace/process/libraries"
BUILD = pathlib.Path(os.environ.get("LOOM_BUILD_DIR", "build/dev")).resolve()
sys.path.insert(0, str(HERE))
import lines  # noqa: E402  beside the drivers

FILES = {"python": "loom_trace.py", "node": "loom-trace.js", "ruby": "loom_trace.rb", "rust": "loom_trace.rs"}


RUSTC = shutil.which("rustc", path="/usr/bin") or "rustc"  # the system's works without a home


def need(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return unittest.skipIf(missing, f"there is no {' and no '.join(missing)}")


class Packages(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-packages-")))

    def run_in(self, *command, **environment):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LOOM_", "OTEL_", "TRACE"))}
        done = subprocess.run(command, env=env | {"LOOM_TRACE": "1"} | environment, cwd=self.folder, capture_output=True, timeout=180)
        self.assertEqual(0, done.returncode, done.stderr.decode())
        return lines.read(done.stderr)

    def example(self, language, tag, number):
        blocks = re.findall(rf"```{tag}\n(.*?)```", (SOURCE / language / "README.md").read_text(), re.S)
        path = self.folder / f"example{number}.{tag[:2]}"
        path.write_text(blocks[number])
        return path

    def names(self, found):
        return [span["name"] for span in found.spans]

    def test_they_are_installed_with_loom(self):
        self.run_in("cmake", "--install", BUILD, "--component", "libraries", "--prefix", self.folder / "prefix")
        for language, file in FILES.items():
            installed = self.folder / "prefix/share/loom" / language / file
            self.assertEqual((SOURCE / language / file).read_bytes(), installed.read_bytes())
        share = self.folder / "prefix/share/loom"
        found = self.run_in(sys.executable, "-c", "import loom_trace\nwith loom_trace.trace_span('a'): pass", PYTHONPATH=str(share / "python"))
        self.assertEqual(["a"], self.names(found))

    def test_pip_installs_the_python_library(self):
        shutil.copytree(SOURCE / "python", self.folder / "source")
        probe = subprocess.run([sys.executable, "-c", "import pip, setuptools; assert int(setuptools.__version__.split('.')[0]) >= 61"],
                               capture_output=True)
        if probe.returncode != 0:
            self.skipTest("there is no pip with setuptools 61")
        self.run_in(sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index",
                    "--target", self.folder / "site", self.folder / "source")
        found = self.run_in(sys.executable, "-c", "from loom_trace import trace_span\nwith trace_span('a'): pass", PYTHONPATH=str(self.folder / "site"))
        self.assertEqual(["a"], self.names(found))

    @need("node", "npm")
    def test_npm_installs_the_node_library(self):
        (self.folder / "package.json").write_text('{"name": "user", "version": "1.0.0", "private": true}')
        self.run_in("npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", SOURCE / "node")
        for name, code in (("a.js", "require('loom-trace').traceSpanSync('required', () => {})"),
                           ("a.mjs", "import { traceSpanSync } from 'loom-trace'; traceSpanSync('imported', () => {})")):
            (self.folder / name).write_text(code)
        self.assertEqual(["required", "imported"], self.names(self.run_in("node", "a.js")) + self.names(self.run_in("node", "a.mjs")))

    def test_the_examples_for_python(self):
        path = str(SOURCE / "python")
        found = self.run_in(sys.executable, self.example("python", "python", 0), PYTHONPATH=path)
        self.assertEqual(["query_database", "parse", "parse", "process_data"], self.names(found))
        found = self.run_in(sys.executable, self.example("python", "python", 1), PYTHONPATH=path)
        self.assertEqual(["fetch", "fetch", "batch"], self.names(found))
        found = self.run_in(sys.executable, SOURCE / "python/example_traced.py", PYTHONDONTWRITEBYTECODE="1")
        self.assertEqual(9, len(found.spans))

    @need("node")
    def test_the_examples_for_node(self):
        path = str(SOURCE / "node")
        found = self.run_in("node", self.example("node", "javascript", 0), NODE_PATH=path)
        self.assertEqual(["query_database", "parse_data", "total", "process_data"], self.names(found))
        found = self.run_in("node", self.example("node", "javascript", 1), NODE_PATH=path)
        self.assertEqual(["batch", "decode", "decode", "fetch", "fetch"], sorted(self.names(found)))
        self.assertEqual(10, len(self.run_in("node", SOURCE / "node/example_traced.js").spans))

    @need("ruby")
    def test_the_examples_for_ruby(self):
        found = self.run_in("ruby", "-W", self.example("ruby", "ruby", 0), RUBYLIB=str(SOURCE / "ruby"))
        self.assertEqual(["query_database", "parse", "parse", "process_data", "in a thread"], self.names(found))
        self.assertEqual(6, len(self.run_in("ruby", "-W", SOURCE / "ruby/example_traced.rb").spans))

    @need("rustc")
    def test_the_examples_for_rust(self):
        library = self.folder / "libloom_trace.rlib"
        self.run_in(RUSTC, "--edition", "2021", "--crate-type", "rlib", "--crate-name", "loom_trace", "-D", "warnings", "-o", library,
                    SOURCE / "rust/loom_trace.rs")
        for source, names in ((self.example("rust", "rust", 0), ["query_database", "parse", "in a thread", "process_data"]),
                              (SOURCE / "rust/example_traced.rs", ["query_database", "parse", "parse", "parse", "process_data", "report"])):
            program = self.folder / "program"
            self.run_in(RUSTC, "--edition", "2021", "-D", "warnings", "--extern", f"loom_trace={library}", "-o", program, source)
            self.assertEqual(names, self.names(self.run_in(program)))


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""What a newcomer copies: README's code in each C and C++, and examples/agent built from the installed package with CMake, Meson,
make and pkg-config, and run."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BIN, SANITIZER, LoomTest, Process, clean_environment, wait_until

BUILD = BIN.parent
SOURCE = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = SOURCE / "examples/agent"
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
C_STANDARDS, CXX_STANDARDS = ("c99", "c11", "c17", "c2x"), ("c++11", "c++14", "c++17", "c++20", "c++2b")
HEADERS = sorted(path.name for folder in ("base", "envelope", "trace", "sdk-c") for path in (SOURCE / folder / "include/loom").glob("*.h"))
# What the statements in README take for granted.
AROUND = """#include <loom/loom.h>
extern loom_agent *agent, *other; extern loom_bytes payload; extern loom_result *result;
loom_status greet(loom_agent *agent, loom_action *action, void *user);
void use(loom_status st);
loom_status snippet(void);
loom_status snippet(void)
{
"""


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True, timeout=300, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed:
    """libloom in a folder of its own, which is not where it was installed to."""

    def __init__(self, folder):
        self.prefix = folder / "moved"
        run("cmake", "--install", BUILD / "sdk-c", "--prefix", folder / "prefix")
        shutil.move(folder / "prefix", self.prefix)
        self.libdir = next(self.prefix.rglob("loom.pc")).parents[1]
        self.environment = clean_environment(PKG_CONFIG_PATH=self.libdir / "pkgconfig", LD_LIBRARY_PATH=self.libdir,
                                             LOOM_TELEMETRY_AUTO="0")

    def flags(self, *options):
        return run("pkg-config", *options, "loom", env=self.environment).split()


class Base(LoomTest):
    @classmethod
    def setUpClass(cls):
        if SANITIZER:
            raise unittest.SkipTest("a program needs the sanitizer's flags, too")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="loom-ex-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.installed = Installed(cls.folder)

    def compilers(self):
        found = [(c, cxx) for c, cxx in (("gcc", "g++"), ("clang", "clang++")) if shutil.which(c) and shutil.which(cxx)]
        self.assertTrue(found)
        return found

    def compiles(self, name, text):
        """As every C and C++, without a warning."""
        path = self.folder / name
        path.write_text(text)
        cflags = self.installed.flags("--cflags")
        for c, cxx in self.compilers():
            for standard in C_STANDARDS:
                run(c, f"-std={standard}", *STRICT, *cflags, "-fsyntax-only", path)
            for standard in CXX_STANDARDS:
                run(cxx, "-x", "c++", f"-std={standard}", *STRICT, *cflags, "-fsyntax-only", path)


class Readme(Base):
    def blocks(self):
        return re.findall(r"^```c\n(.*?)^```", (SOURCE / "README.md").read_text(), re.M | re.S)

    def test_every_header_is_every_c_and_c_plus_plus(self):
        self.compiles("headers.c", "".join(f"#include <loom/{name}>\n" for name in HEADERS) + "int main(void) { return 0; }\n")

    def test_every_header_stands_alone(self):
        c, _ = self.compilers()[0]
        for name in HEADERS:
            path = self.folder / "header.c"
            path.write_text(f"#include <loom/{name}>\nint main(void) {{ return 0; }}\n")
            run(c, "-std=c99", *STRICT, *self.installed.flags("--cflags"), "-fsyntax-only", path)

    def test_its_code_is_every_c_and_c_plus_plus(self):
        blocks = self.blocks()
        self.assertGreaterEqual(len(blocks), 5)
        for number, block in enumerate(blocks):
            if "#include" in block:
                text = block
            elif block.startswith("static"):
                text = "#include <loom/loom.h>\n" + block + "extern loom_on_action used;\nloom_on_action used = greet;\n" \
                    if "greet(" in block else block
            else:
                text = AROUND + block + ("    return st;\n}\n" if " st = " in block else "    return LOOM_OK;\n}\n")
            self.compiles(f"block{number}.c", text)

    def test_its_agent_is_the_example(self):
        """But for comments, the line that flushes, and the one that says what it is."""
        def plain(text):
            return [line for line in re.sub(r"/\*.*?\*/|\s*fflush\(stdout\);", "", text, flags=re.S).split("\n") if line.strip()]
        self.assertEqual(plain((EXAMPLES / "echo.c").read_text()), [line.rstrip() for line in plain(self.blocks()[0])])


class Examples(Base):
    def build_cmake(self):
        out = self.folder / "cmake"
        run("cmake", "-S", EXAMPLES, "-B", out, f"-DCMAKE_PREFIX_PATH={self.installed.prefix}",
            f"-DCMAKE_C_FLAGS=-std=c99 {' '.join(STRICT)}", f"-DCMAKE_CXX_FLAGS={' '.join(STRICT)}")
        run("cmake", "--build", out)
        return out

    def build_meson(self):
        out = self.folder / "meson"
        run("meson", "setup", "--werror", out, EXAMPLES, env=self.installed.environment)
        run("meson", "compile", "-C", out, env=self.installed.environment)
        return out

    def build_make(self):
        out = self.folder / "make"
        run("make", "-C", EXAMPLES, f"OUT={out}", "CFLAGS=-Werror", "CXXFLAGS=-Werror", env=self.installed.environment)
        return out

    def build_static(self):
        """pkg-config --static: nothing of libloom is needed where they run, nor anything else."""
        out = self.folder / "static"
        out.mkdir()
        for name in ("echo", "shout", "ask", "poll"):
            run("cc", "-static", EXAMPLES / f"{name}.c", "-o", out / name, *self.installed.flags("--static", "--cflags", "--libs"))
        self.assertNotIn("libloom", subprocess.run(["ldd", out / "ask"], capture_output=True, text=True, check=False).stdout)
        return out

    def started(self, bus, path, *arguments, ready, **popen):
        process = Process(bus.folder, path.name, [str(path), *arguments], {**self.installed.environment, "LOOM_URL": bus.url}, **popen)
        bus.processes.append(process)
        wait_until(lambda: ready() or not process.running(), f"{path.name} is ready")
        self.assertTrue(process.running(), process.err)
        return process

    def listens(self, bus, name):
        return name in bus.loom("agents", "--topic", "greetings.all", "--control", f"ipc://{bus.control_path}").stdout

    def try_out(self, out, echo="echo"):
        bus = self.home(spans=False)
        said = bus.subscriber("echo.said")
        heard = self.started(bus, out / echo, ready=lambda: self.listens(bus, echo))
        bus.loom("pub", "greetings.all", "hello")
        wait_until(lambda: "greetings.all: hello" in heard.out and "hello" in said.out, "the greeting is printed and said again")
        environment = {**self.installed.environment, "LOOM_URL": bus.url}
        nobody = subprocess.run([out / "ask", "hello"], env=environment, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(1, nobody.returncode)
        self.assertIn("ask: no_responders (no_provider): nobody provides this", nobody.stderr)
        self.started(bus, out / "shout", ready=lambda: "text.shout" in bus.loom("caps", "--control", f"ipc://{bus.control_path}").stdout)
        self.assertEqual("HELLO\n", run(out / "ask", "hello", env=environment))
        chat = bus.subscriber("chat.said")
        done = subprocess.run([out / "poll"], input="one\ntwo\n", env=environment, text=True, capture_output=True, timeout=30, check=True)
        self.assertEqual("", done.stderr)
        wait_until(lambda: "two" in chat.out, "the lines are published")

    def test_with_cmake(self):
        out = self.build_cmake()
        self.try_out(out)
        self.try_out(out, echo="echo-cpp")
        self.assertIn("Usage: ask", subprocess.run([out / "ask-static"], capture_output=True, text=True, check=False).stderr)

    @unittest.skipUnless(shutil.which("meson"), "needs meson")
    def test_with_meson(self):
        self.try_out(self.build_meson(), echo="echo-cpp")

    @unittest.skipUnless(shutil.which("make"), "needs make")
    def test_with_make_and_pkg_config(self):
        self.try_out(self.build_make())

    def test_linked_statically_with_pkg_config(self):
        self.try_out(self.build_static())


if __name__ == "__main__":
    os.chdir(SOURCE)
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""loom completion: what it offers in which place, in bash, zsh and fish."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import unittest

from harness import BIN, LoomTest, wait_until


class Completion(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.environment = {"LOOM_CONTROL": f"ipc://{self.bus.control_path}", "XDG_CONFIG_HOME": str(self.bus.folder / "config")}

    def loom(self, *arguments, code=0, **environment):
        return self.bus.loom(*arguments, code=code, environment={**self.environment, **environment})

    def provide(self):
        provider = self.bus.run("loom", "provide", "--url", self.bus.url, "--id", "shouter", "text.upper", "--", "tr", "a-z", "A-Z")
        wait_until(lambda: "providing" in provider.err, "it provides")

    def words(self, *typed):
        return [line.split("\t")[0] for line in self.loom("completion", "words", "--", *typed).stdout.splitlines()]

    def test_verbs_options_and_what_is_on_the_bus_complete(self):
        self.assertEqual(["pub"], self.words("pu"))
        self.assertLessEqual({"pub", "sub", "trace", "check"}, set(self.words("")))
        self.assertEqual(["show"], self.words("trace", "sh"))
        self.assertIn("--rate", self.words("pub", "--ra"))
        self.assertIn("--since", self.words("trace", "ls", "--"))
        self.provide()
        receiver = self.agent(self.bus, "receiver").subscribe("orders.new")
        self.loom("pub", "orders.new", "x")
        receiver.wait_events(1)
        self.assertEqual(["orders.new"], self.words("sub", "ord"))
        self.loom("ping", "shouter", "-n", "1")
        self.assertIn("agent.shouter.replies", self.loom("topics").stdout)
        self.assertEqual([], self.words("sub", "agent."))  # where answers go, which nobody types
        self.assertEqual(["text.upper"], self.words("invoke", ""))
        self.assertEqual(["shouter"], self.words("ping", "sh"))
        self.assertEqual(["shouter"], self.words("check", "agent", "sh"))

    def test_the_broker_is_the_one_that_the_line_leads_to(self):
        other = self.home(spans=False)
        self.agent(other, "elsewhere")
        wait_until(lambda: "elsewhere" in other.loom("agents").stdout, "it is there")
        self.assertEqual([], self.words("kick", "else"))
        for typed in (("agents", "--url", other.url), ("ping", "-u", other.url), ("ping", f"--url={other.url}"),
                      ("kick", "--control", f"ipc://{other.control_path}")):
            self.assertEqual(["elsewhere"], self.words(*typed, "else"), typed)
        self.loom("context", "add", "other", "--control", f"ipc://{other.control_path}")
        self.assertEqual(["elsewhere"], self.words("--context", "other", "ping", "else"))
        self.loom("context", "use", "other")
        chosen = self.loom("completion", "words", "--", "ping", "else", LOOM_CONTROL="", LOOM_URL="")  # empty is as if it were not there
        self.assertEqual("elsewhere\n", chosen.stdout)

    def test_contexts_complete_and_what_stands_behind_dashes_is_anothers(self):
        self.loom("context", "add", "prod")
        self.loom("context", "add", "probe")
        self.assertEqual(["probe", "prod"], self.words("context", "use", "pro"))
        self.assertEqual(["prod"], self.words("--context", "prod"))
        for typed, expected in ((("exec", "--", "l"), ":commands"), (("exec", "--", "ls", "--co"), ":files"), (("exec", "ls", "--co"), ":files"),
                                (("provide", "x", "--", ""), ":commands"), (("reply", "x", "--", "tr", ""), ":files")):
            self.assertEqual([expected], self.words(*typed), typed)

    def every_option(self):
        """(verb, --name, -letter or None, what help calls its value) of each that takes one."""
        def verbs(*above):
            names = re.search(r"\nVerbs:\n(.*?)\n\n", self.loom(*above, "--help").stdout, re.DOTALL)
            return [(*above, line.split()[0]) for line in names[1].splitlines()] if names else []
        for verb in [found for top in verbs() for found in ([top] if not verbs(*top) else verbs(*top))]:
            for letter, name, value in re.findall(r"^ +(?:-(\w), )?(--[\w-]+) ([A-Z][A-Z:=]*)(?:  .*)?$", self.loom(*verb, "--help").stdout, re.MULTILINE):
                yield verb, name, f"-{letter}" if letter else None, value

    def test_each_option_is_offered_what_it_takes_and_nothing_else(self):
        receiver = self.agent(self.bus, "receiver").subscribe("orders.new")
        self.provide()
        self.loom("pub", "orders.new", "x")
        receiver.wait_events(1)
        wanted = {"FILE": [":files"], "DIR": [":folders"], "--topic": ["orders.new"], "--reply-to": ["orders.new"], "--capability": ["text.upper"],
                  "--qos": ["batched", "realtime", "background"], "--color": ["auto", "always", "never"], "--lang": ["c", "python"],
                  "--sort": ["slow", "rate", "dropped", "name"], "--otlp-protocol": ["grpc", "http/protobuf", "http/json"],
                  "--ladder": ["trace-test", "market-analyst", "market-analyst-timeout"],
                  "kind of provide": ["plain", "tool", "agent"], "kind of flow": ["publish", "deliver", "invoke", "provide"]}
        seen, kinds = 0, set()
        for verb, name, letter, value in self.every_option():
            seen += 1
            key = next((key for key in (f"{name[2:]} of {verb[0]}", name, value) if key in wanted), None)
            expected = wanted.get(key, []) if (verb[0], name) != ("flow", "--agent") else ["receiver", "shouter"]
            kinds.add(key)
            for typed in ((name, ""), (f"{name}=",), *([(letter, "")] if letter else [])):
                offered = [word for word in self.words(*verb, *typed) if not word.startswith("system.")]
                self.assertEqual(sorted(expected), sorted(offered), (verb, typed))
        self.assertGreater(seen, 150)
        self.assertEqual(set(wanted), kinds - {None})

    def test_completing_never_does_what_the_line_says(self):
        receiver = self.agent(self.bus, "receiver").subscribe(">")
        flag = self.bus.folder / "made"
        self.provide()
        for typed in (("pub", "t.a", "--ra"), ("pub", "t.a", "x", ""), ("request", "t.a", "--ti"), ("invoke", "text.upper", "--de"), ("kick", "receiver", "--co"),
                      ("exec", "touch", str(flag), "-"), ("exec", "--", "touch", str(flag), ""), ("drain", "--qu"), ("up", "loom.toml", "--de"),
                      ("context", "add", "made", "--u"), ("trace", "keep", "0" * 31 + "1", "--js")):
            self.words(*typed)
        self.assertFalse(flag.exists())
        self.assertEqual("", self.loom("context", "ls").stdout)
        self.assertIn("receiver", self.loom("agents").stdout)
        self.loom("pub", "t.last", "x")
        [event] = receiver.wait_events(1)
        self.assertEqual("t.last", event.topic)
        [capability] = json.loads(self.loom("caps", "--json").stdout)["capabilities"]
        self.assertEqual("0", capability["providers"][0]["calls"])

    def test_without_a_broker_completion_offers_what_it_knows(self):
        done = self.loom("completion", "words", "--", "sub", "x", LOOM_CONTROL=f"ipc://{self.bus.folder}/no.sock")
        self.assertEqual("", done.stdout)

    # ---- the shells ----

    CASES = (("loom trace sh", ["show"]), ("loom pub --rat", ["--rate"]), ("loom pub t -f FOLDER/some.fi", ["FOLDER/some.file"]),
             ("loom sub --dump FOLDER/so", ["FOLDER/some.folder"]), ("loom sub --qos=b", ["background", "batched"]), ("loom exec -- tru", ["true", "truncate"]),
             ("loom trace ls --file=FOLDER/some.fi", ["FOLDER/some.file"]), ("loom nope ", []), ("loom --conte", ["--context"]))

    def shell(self, *command):
        (self.bus.folder / "files").mkdir(exist_ok=True)
        (self.bus.folder / "files/some.file").touch()
        (self.bus.folder / "files/some.folder").mkdir(exist_ok=True)
        environment = {**self.bus.environment, **self.environment, "PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(self.bus.folder), "TERM": "dumb"}
        return subprocess.run(command, env=environment, text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)

    def cases(self):
        for line, words in self.CASES:
            yield line.replace("FOLDER", f"{self.bus.folder}/files"), [word.replace("FOLDER", f"{self.bus.folder}/files") for word in words]

    def test_bash_takes_the_words(self):
        for line, expected in self.cases():
            words = [word for part in line.split(" ") for word in re.split("(=)", part) if word or not part]  # as bash does it
            script = (f"source <(loom completion bash); compopt() {{ :; }}; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
                      f"COMP_CWORD={len(words) - 1}; _loom; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
            done = self.shell("bash", "-c", script)
            self.assertLessEqual(set(expected), set(done.stdout.split()), (line, done.stderr))
            self.assertEqual("", done.stderr)
            if line != "loom exec -- tru":
                self.assertEqual(expected, sorted(done.stdout.split()), line)

    @unittest.skipUnless(shutil.which("fish"), "there is no fish")
    def test_fish_takes_the_words(self):
        for line, expected in self.cases():
            done = self.shell("fish", "--no-config", "-c", f"loom completion fish | source; complete -C {line!r}")
            offered = {word.split("\t")[0].split("=")[-1].rstrip("/") for word in done.stdout.splitlines()} - {""}
            self.assertLessEqual(set(expected), offered, (line, done.stderr))
            if line != "loom exec -- tru":
                self.assertEqual(set(expected), offered, line)

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh")
    def test_zsh_takes_the_words(self):
        self.shell("true")
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update({**self.bus.environment, **self.environment, "PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(self.bus.folder), "TERM": "dumb"})
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, terminal)
        said = bytearray()

        def until(text):
            def there():
                if select.select([terminal], [], [], 0.05)[0]:
                    said.extend(os.read(terminal, 4096))
                return text in said.decode(errors="replace")
            wait_until(there, f"zsh prints {text!r}: {said.decode(errors='replace')!r}")
            del said[:]
        os.write(terminal, b"PS1=; autoload -U compinit; compinit -u -D; source <(loom completion zsh); stty -echo; bindkey '^X' kill-whole-line; echo re''ady\n")
        until("ready")
        for line, expected in self.cases():
            if len(expected) == 1:
                begun = re.split("[ =]", line)[-1]
                os.write(terminal, line.encode() + b"\t")
                until(expected[0][len(begun):])
                os.write(terminal, b"\x18")
        os.write(terminal, b"exit\n")

    def test_scripts_parse(self):
        for shell in ("zsh", "fish"):
            script = self.loom("completion", shell).stdout
            self.assertIn("loom completion words --", script)
            if shutil.which(shell):
                subprocess.run([shell, "-n", "-c", script] if shell == "zsh" else [shell, "--no-execute", "-c", script], check=True, timeout=30)
        self.assertIn("bash, zsh or fish", self.loom("completion", "tcsh", code=2).stderr)


if __name__ == "__main__":
    unittest.main()

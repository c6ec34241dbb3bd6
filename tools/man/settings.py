# SPDX-License-Identifier: Apache-2.0
"""loom.toml(5), from the table of settings.

    settings.py VERSION OUT TABLE_PROGRAM
"""
import itertools
import pathlib
import subprocess
import sys

from roff import Page

ABOUT = {"broker": "`loom-broker`", "bridge": "`loom-bridge`", "telemetry": "traces of `loom-broker` and `loom-bridge`",
         "log": "the log of both", "agent": "where agents and `loom` connect", "up": "`loom up`",
         "agents": "each agent that `loom up` runs, as `[agents.NAME]`"}


def rows(program):
    text = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in text.splitlines()]


def main():
    version, out, program = sys.argv[1:]
    page = Page("loom.toml", 5, version, "configuration of the Loom message bus")
    page.section("SYNOPSIS")
    page.verbatim("./loom.toml\n$XDG_CONFIG_HOME/loom/loom.toml\n/etc/loom/loom.toml")
    page.section("DESCRIPTION")
    page.paragraph("One file, in TOML, for all programs of Loom. The first of the three that is there is read, or the one that `--config` "
                   "names. A flag wins over the environment, the environment over the file, the file over the default.")
    page.paragraph("A key that nobody knows, a value of the wrong type or out of its range is an error, which names file, line and column; "
                   "nothing starts with half a configuration. `loom-broker --check-config` prints every value and where it came from.")
    page.paragraph("`{runtime}` is $XDG_RUNTIME_DIR/loom, or /tmp/loom-UID without that variable, or when it holds blanks or commas. Settings that are marked so change "
                   "with SIGHUP, while the program runs.")
    for section, keys in itertools.groupby(rows(program), key=lambda row: row[0]):
        page.section(f"[{section}.NAME]" if section == "agents" else f"[{section}]")
        page.paragraph(f"Settings of {ABOUT.get(section, section)}.")
        for _, name, kind, fallback, choices, variable, live, text in keys:
            facts = [choices.replace("|", ", ") if choices else kind, f"default {fallback}" if fallback else "default: none"]
            facts += [f"variable {variable}"] if variable else []
            facts += ["changes with SIGHUP"] if live else []
            page.tagged(name, f"{text}.\n({'; '.join(facts)})")
    page.section("EXAMPLES")
    page.verbatim('[broker]\nlisten = ["ipc:///run/loom/loom.sock", "tls+tcp://0.0.0.0:7701"]\nallow_remote = true\n'
                  'tls_cert_key_file = "/etc/loom/server.pem"\nqueue_bytes = "16MiB"\n\n[telemetry]\nendpoint = "http://127.0.0.1:4318"\n\n'
                  '[log]\nlevel = "info"\nformat = "json"\n\n[agents.greeter]\ncommand = "python3 greeter.py"\nreplicas = 2')
    page.section("SEE ALSO")
    page.raw('.BR "loom\\-broker" (1),', '.BR "loom\\-bridge" (1),', '.BR "loom\\-up" (1),', '.BR "loom" (7)')
    pathlib.Path(out).write_text(page.text())


if __name__ == "__main__":
    main()

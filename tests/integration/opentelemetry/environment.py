# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry for Python, by pip, in an environment of its own in the build folder. Without pip a test is skipped."""

import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # harness.py and what it needs
from skipping import skip  # noqa: E402


def enter():
    """Runs the program again inside the environment, unless it is inside already."""
    if sys.prefix != sys.base_prefix:
        return
    folder = pathlib.Path(os.environ.get("LOOM_BUILD_DIR", "/tmp"), "opentelemetry-venv").resolve()
    python, ready = folder / "bin" / "python", folder / "ready"
    wanted = (HERE / "requirements.txt").read_text()
    if not ready.exists() or ready.read_text() != wanted:
        try:
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", HERE / "requirements.txt"],
                           check=True, timeout=240, stdout=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError) as error:
            skip(f"OpenTelemetry for Python cannot be installed: {error}")
        ready.write_text(wanted)
    sys.exit(subprocess.run([python, "-B", *sys.argv]).returncode)

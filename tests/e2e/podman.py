# SPDX-License-Identifier: Apache-2.0
"""A podman of the test's own, where there is one that runs."""

import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

IMAGE = "loom-test"
PODMAN_LIMITS = ("--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")


class Podman:
    """An engine of its own, with an image of busybox."""

    image = IMAGE

    def __init__(self, folder):
        self.args = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs", "--cgroup-manager=cgroupfs",
                     "--runtime=runc"]

    def run(self, *arguments, **more):
        return subprocess.run(["podman", *self.args, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, **more)

    def exec_options(self):
        """What `loom exec` has to be told to use this engine."""
        return ["--engine=podman", *(f"--engine-arg={argument}" for argument in self.args)]

    def environment(self):
        """Variables without which its client finds nothing."""
        return {}

    def commands(self, container):
        """The command lines inside, with or without their numbers."""
        return self.run("top", container, "args").stdout.decode().splitlines()[1:]

    def remove(self, container):
        self.run("rm", "--force", "--time=0", container)

    def make_image(self, folder, mounts=()):
        """The image: busybox, and empty folders for mounts. Its files are in folder/image."""
        root = folder / "image"
        for name in ("bin", "tmp", "proc", "dev", "sys", "etc", *(mount.lstrip("/") for mount in mounts)):
            (root / name).mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/busybox", root / "bin")
        for name in ("sh", "echo", "sleep", "printf"):
            (root / "bin" / name).symlink_to("busybox")
        tar = folder / "image.tar"
        subprocess.run(["tar", "-C", root, "-cf", tar, "."], check=True)
        return self.run("import", str(tar), self.image)


@functools.cache
def why_no_podman():
    """Why there is no real container on this machine; None: there is."""
    if shutil.which("podman") is None or shutil.which("runc") is None:
        return "podman and runc are not installed"
    if not os.access("/bin/busybox", os.X_OK):
        return "busybox-static is not installed"
    with tempfile.TemporaryDirectory(prefix="loom-podman-") as folder:
        podman = Podman(folder)
        made = podman.make_image(pathlib.Path(folder))
        ran = podman.run("run", "--rm", *PODMAN_LIMITS, IMAGE, "/bin/echo", "works")
        podman.run("system", "reset", "--force")
        return None if b"works" in ran.stdout else f"podman does not run here: {(made.stdout + ran.stdout)[-300:]}"


def for_test(test, mounts=()):
    """A Podman with its image until the end of the test, which is skipped where none runs."""
    if (reason := why_no_podman()) is not None:
        test.skipTest(reason)
    folder = tempfile.TemporaryDirectory(prefix="loom-podman-")
    test.addCleanup(folder.cleanup)
    podman = Podman(folder.name)
    podman.make_image(pathlib.Path(folder.name), mounts)
    test.addCleanup(podman.run, "system", "reset", "--force")
    return podman

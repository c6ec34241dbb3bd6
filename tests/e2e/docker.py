# SPDX-License-Identifier: Apache-2.0
"""The docker of this machine, where its daemon answers, with an image of the test's own."""

import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

import podman

KEPT = ("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "HOME")


class Docker(podman.Podman):
    def __init__(self):
        self.args = []
        self.image = f"loom-test-{os.getpid()}"  # everybody shares the daemon

    def run(self, *arguments, **more):
        return subprocess.run(["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, **more)

    def exec_options(self):
        return ["--engine=docker"]

    def environment(self):
        return {name: os.environ[name] for name in KEPT if name in os.environ}

    def commands(self, container):
        return self.run("top", container, "-eo", "pid,args").stdout.decode().splitlines()[1:]

    def remove(self, container):
        self.run("rm", "--force", container)


@functools.cache
def why_no_docker():
    """Why there is no real container on this machine; None: there is."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if not os.access("/bin/busybox", os.X_OK):
        return "busybox-static is not installed"
    told = subprocess.run(["docker", "version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return None if told.returncode == 0 else f"no docker daemon answers: {told.stdout.decode()[-200:]}"


def for_test(test):
    """A Docker with its image until the end of the test, which is skipped where none answers."""
    if (reason := why_no_docker()) is not None:
        test.skipTest(reason)
    docker = Docker()
    folder = test.enterContext(tempfile.TemporaryDirectory(prefix="loom-docker-"))
    made = docker.make_image(pathlib.Path(folder))
    test.assertEqual(0, made.returncode, made.stdout)
    test.addCleanup(docker.run, "image", "rm", docker.image)
    return docker

"""Nodes as real processes, to be killed."""

import json
import shutil
import subprocess
import sys

import pytest

SOURCE = """
import asyncio
import time

from actormq import Actor, handler


class Worker(Actor):
    @handler
    def ping(self) -> str:
        return self.name

    @handler
    async def wait(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @handler
    def hang(self, seconds: float) -> None:
        time.sleep(seconds)
"""


class Programs:
    """`actormq node` processes of one test."""

    def __init__(self, folder, mesh):
        self.folder = folder
        self.mesh = mesh
        self.running = []
        (folder / "workers.py").write_text(SOURCE)

    def start(self, target, name, *options):
        log = (self.folder / f"{name}.log").open("a")
        command = [sys.executable, "-m", "actormq", "node", target, "--name", name]
        process = subprocess.Popen(
            [*command, "--mesh", self.mesh, *options], cwd=self.folder, stderr=log
        )
        log.close()
        self.running.append(process)
        return process

    def worker(self, name, *options):
        return self.start("workers:Worker", name, "--as", name, *options)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def stop(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def programs(tmp_path, mesh_name):
    """Starts node processes in a mesh of the test's own and kills what is left at its end."""
    started = Programs(tmp_path, mesh_name)
    yield started
    started.stop()


@pytest.fixture
def in_namespace():
    """Run a program in a network namespace of its own; what it printed, read as JSON."""
    tools = shutil.which("unshare"), shutil.which("ip")
    if not all(tools) or subprocess.run([tools[0], "-rn", "true"], check=False).returncode:
        pytest.skip("no rights to make a network namespace")

    def run(program, timeout):
        command = [tools[0], "-rn", sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run

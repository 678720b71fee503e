"""Starts nodes as processes of this machine, and leaves none behind."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

STOP_LIMIT = 8.0  # s from SIGTERM to SIGKILL; a node takes 5 at most to stop by itself
LINES_KEPT = 20  # of what a process says, for the case that it fails


@dataclass(frozen=True, slots=True)
class Part:
    """One actor of a node to be started.

    Attributes:
        kind: Its class as `module:Class`.
        name: Its name.
        args: Its constructor's arguments, values that TOML has.
    """

    kind: str
    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


class ProcessFailed(RuntimeError):
    """A node's process ended on its own; says what it said last."""

    def __init__(self, name: str, status: int, said: Sequence[str]) -> None:
        words = said[-1] if said else f"it ended with status {status}"
        super().__init__(f"node {name!r} did not stay: {words.removeprefix('actormq: ')}")


class Processes:
    """Nodes of one mesh, each `actormq node` in a process and session of its own.

    A session of their own keeps Ctrl-C from them: whoever holds them ends them in order. Should
    that one be killed, they notice and stop.

    Args:
        mesh: The mesh that they join.
    """

    def __init__(self, mesh: str) -> None:
        self._mesh = mesh
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._said: dict[str, list[str]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def names(self) -> list[str]:
        """The nodes' names."""
        return list(self._running)

    async def start(self, name: str, parts: Sequence[Part]) -> None:
        """Start a node that runs these actors."""
        await self._start(name, ("node", "-"), topology(name, self._mesh, parts))

    async def start_worker(self, name: str, slots: int) -> None:
        """Start a node that runs tasks of the mesh's farms, so many at a time."""
        command = ("farm", "worker", "--name", name, "--mesh", self._mesh, "--slots", str(slots))
        await self._start(name, command, "")

    async def _start(self, name: str, command: Sequence[str], told: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "actormq", *command, "--quiet"),
            *("--parent", str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._running[name] = process
        self._said[name] = []
        assert process.stdin is not None
        assert process.stderr is not None
        self._readers.append(asyncio.ensure_future(_keep(process.stderr, self._said[name])))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(told.encode())
            await process.stdin.drain()
        process.stdin.close()

    def check(self) -> None:
        """Make sure that all still run.

        Raises:
            ProcessFailed: One has ended.
        """
        for name, process in self._running.items():
            if process.returncode is not None:
                raise ProcessFailed(name, process.returncode, self._said[name])

    async def kill(self, name: str) -> int:
        """Kill one with SIGKILL, for which it cannot prepare; `check` does not miss it.

        The processes that it has started notice, and end as well.

        Returns:
            How it ended, as its parent sees it: -9.
        """
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()

    async def stop(self) -> None:
        """End them all: asked first, killed if that does not help."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in self._running.values():
            try:
                async with asyncio.timeout(STOP_LIMIT):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        await asyncio.gather(*self._readers)
        self._running.clear()


async def _keep(stream: asyncio.StreamReader, lines: list[str]) -> None:
    async for line in stream:
        lines.append(line.decode(errors="replace").rstrip())
        del lines[:-LINES_KEPT]


def topology(name: str, mesh: str, parts: Sequence[Part]) -> str:
    """Write a topology file; JSON's texts, numbers, truth values and lists are TOML's too."""
    lines = ["[node]", f"name = {_value(name)}", f"mesh = {_value(mesh)}"]
    for part in parts:
        args = ", ".join(f"{key} = {_value(value)}" for key, value in part.args.items())
        lines += [
            "[[actor]]",
            f"class = {_value(part.kind)}",
            f"name = {_value(part.name)}",
            f"args = {{ {args} }}",
        ]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

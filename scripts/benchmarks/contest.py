"""Runs contestants: starts them all, and goes round by round through them in turn."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any, Self

PATIENCE = 120.0  # s for a contestant to start, and over the length of a round
ENDING = 20.0  # s for one to clean up
WARMING = 0.3  # s of a round that nobody counts

Result = dict[str, Any]
Say = Callable[[str], None]


class Failed(Exception):
    """A contestant could not start, crashed or gave no figure; the text says why."""


class Contestant:
    """A program that does one work, in a process of its own.

    Args:
        command: What starts it.
        env: Its environment.

    Raises:
        Failed: It cannot be started.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 close() closes it
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=env,
                text=True,
                start_new_session=True,  # an interrupt is for the runner, which then ends it
            )
        except OSError as error:
            self._errors.close()
            raise Failed(str(error)) from error
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put("")  # its end

    def answer(self, patience: float) -> str:
        """Wait for its next line.

        Raises:
            Failed: It ended instead, or said nothing for so many seconds.
        """
        try:
            line = self._lines.get(timeout=patience)
        except queue.Empty:
            raise Failed(f"said nothing for {patience:.0f} s") from None
        if not line:
            raise Failed(self._last_words())
        return line

    def round(self, seconds: float) -> Result:
        """Let it do a round.

        Raises:
            Failed: It gave no figure.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"round {seconds}\n")
            self._process.stdin.flush()
        except OSError:
            raise Failed(self._last_words()) from None
        line = self.answer(PATIENCE + 20 * seconds)
        try:
            result: Result = json.loads(line)
            result["value"] = float(result["value"])
        except (ValueError, TypeError, KeyError):
            raise Failed(f"said {line!r} where a figure was due") from None
        return result

    def _last_words(self) -> str:
        """Why it ended: the last line of what it said."""
        self._process.wait(ENDING)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no word")
        return f"ended with status {self._process.returncode}: {last}"

    def close(self) -> None:
        """End it by the end of its input, and by a signal if it will not."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING)
        if self._process.poll() != 0:  # whatever it started may be there yet
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(ENDING)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Outcome:
    """What came of one work.

    Attributes:
        rounds: The results by contestant; of those that failed, the ones before.
        left_out: Who gave no figures, or not all, and why.
    """

    rounds: dict[str, list[Result]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def contest(
    commands: Mapping[str, Sequence[str]],
    rounds: int,
    seconds: float,
    say: Say,
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Let contestants do so many rounds of so many seconds, one after another in each round.

    One that cannot start, or fails on the way, is left out from there on, and the rest goes on.
    """
    outcome = Outcome()
    with ExitStack() as stack:
        running = {}
        for name, command in commands.items():
            try:
                contestant = stack.enter_context(Contestant(command, env))
                warm(contestant)
                running[name] = contestant
            except Failed as reason:
                outcome.left_out[name] = str(reason)
                say(f"{name} is left out: {reason}")
        outcome.rounds = {name: [] for name in running}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}: {', '.join(running)}")
            for name in list(running):
                try:
                    outcome.rounds[name].append(running[name].round(seconds))
                except Failed as reason:
                    outcome.left_out[name] = f"in round {number + 1}, {reason}"
                    say(f"{name} is left out: {outcome.left_out[name]}")
                    running.pop(name).close()
    return outcome


def warm(contestant: Contestant) -> None:
    """Wait until it is ready, and let it do a round that nobody counts.

    Raises:
        Failed: It is not.
    """
    said = contestant.answer(PATIENCE)
    if said != "ready":
        raise Failed(said.removeprefix("unavailable: "))
    contestant.round(WARMING)

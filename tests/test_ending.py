"""A process that runs a node ends in time, whatever is in it, and says what did not end."""

import re
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import asyncio, sys, threading, time
from actormq import Actor, Node, handler, run

class Stuck(Actor):
    @handler
    async def idle(self) -> None: ...

    @handler
    async def wait(self) -> None:
        await asyncio.Event().wait()

    @handler
    async def swallow(self) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

    @handler
    def spin(self) -> None:
        while True:
            pass

    @handler(blocking=True)
    def block(self) -> None:
        threading.Event().wait()

    async def on_stop(self) -> None:
        if sys.argv[1] == "on_stop":
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass

async def main(node: Node) -> None:
    stuck = await node.spawn(Stuck, "stuck")
    if sys.argv[1] in ("main", "to_thread"):
        await node.spawn(Stuck, "other")
    print("up", flush=True)
    if sys.argv[1] in dir(Stuck) and sys.argv[1] != "on_stop":
        stuck.tell(sys.argv[1])
        await asyncio.sleep(0.1)
    if sys.argv[1] == "to_thread":
        asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    while sys.argv[1] == "main":
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
    if sys.argv[1] == "returns":
        stuck.tell("swallow")
        stuck.tell("block")
        return
    await node.stopped()

run(main, name="n", discovery=False, shutdown_timeout=1.0)
print("done", flush=True)
"""

IN_TIME = 1.0 + 2.0 + 2.0  # s: shutdown_timeout, the grace, and a slow machine
KINDS = ["idle", "wait", "swallow", "spin", "block", "on_stop", "main", "to_thread"]
IN_ORDER = {"idle", "wait", "to_thread"}
HARD = {
    "spin": r"n: did not end: stuck\.spin holds the loop, at .*, line \d+, in spin\n",
    "main": r"n: did not end: the program itself goes on after its node has stopped\n",
}
SAID = {
    **HARD,
    "swallow": r"did not end: stuck\.swallow goes on although it was cancelled",
    "block": r"did not end: stuck\.block has blocked a thread for [\d.]+ s",
    "wait": r"stuck\.wait did not end in time and was cut off",
    "on_stop": r"did not end: stuck\.on_stop goes on",
}


class Programs:
    """One process of each kind, all at once."""

    def __init__(self, kinds, number, *, times=1):
        self.ended = {}
        running = {
            kind: subprocess.Popen(
                [sys.executable, "-W", "error", "-c", PROGRAM, kind],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for kind in kinds
        }
        try:
            for process in running.values():
                assert process.stdout.readline() == "up\n"
            time.sleep(0.3)  # until the handlers run: nobody can say so who holds the loop
            begun = {}
            for kind, process in running.items():
                begun[kind] = time.monotonic()
                process.send_signal(number)
            if times == 2:
                time.sleep(0.2)  # the first one must have been taken
                for process in running.values():
                    process.send_signal(number)
            for kind, process in running.items():
                out, err = process.communicate(timeout=30)
                seconds = time.monotonic() - begun[kind]
                self.ended[kind] = (process.returncode, seconds, out, err)
        finally:
            for process in running.values():
                process.kill()
                process.communicate()


@pytest.fixture(scope="module")
def once():
    return {
        signal.SIGTERM: Programs(KINDS, signal.SIGTERM).ended,
        signal.SIGINT: Programs(["idle", "spin"], signal.SIGINT).ended,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "kind"),
    [*((signal.SIGTERM, kind) for kind in KINDS), (signal.SIGINT, "idle"), (signal.SIGINT, "spin")],
)
def test_a_signal_ends_a_process_in_time_that_has(once, number, kind):
    status, seconds, out, err = once[number][kind]
    assert seconds < IN_TIME, err
    assert status == (0 if kind in IN_ORDER else 128 + number), err
    assert out == ("done\n" if kind in IN_ORDER else "")
    assert "Traceback" not in err
    if kind in SAID:
        assert re.search(SAID[kind], err), err
    elif kind == "idle":
        assert err == ""
    if kind in HARD:
        assert len(err.splitlines()) == 1 or "held the loop" in err


LONGER = [kind for kind in KINDS if kind not in {"idle", "to_thread"}]  # than between two signals


@pytest.fixture(scope="module")
def twice():
    return Programs(LONGER, signal.SIGTERM, times=2).ended


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONGER)
def test_a_second_signal_ends_it_at_once(twice, kind):
    status, seconds, out, err = twice[kind]
    assert status == -signal.SIGTERM, err
    assert seconds < 2.0
    assert out == ""


@pytest.mark.slow
def test_a_program_that_returns_ends_in_time_and_names_what_is_left():
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "returns"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "up\ndone\n"), done.stderr
    assert "stuck.swallow goes on although it was cancelled" in done.stderr
    assert time.monotonic() - begun < IN_TIME + 2.0


IGNORING = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"  # as nohup does


@pytest.mark.slow
def test_a_program_under_nohup_outlives_its_terminal():
    with subprocess.Popen(
        [sys.executable, "-c", f"{IGNORING}\n{PROGRAM}", "idle"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "up\n"
        time.sleep(0.3)  # until it waits for its node's end, as above
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)  # would be the second one, and kill it
        out, err = process.communicate(timeout=20)
        assert (out, err, process.returncode) == ("done\n", "", 0)

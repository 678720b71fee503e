"""A process that runs a node ends in time, whatever is in it, and says what did not end."""

import re
import signal
import subprocess
import sys
import time

import pytest
from granted import Granted

PROGRAM = """
import asyncio, sys, threading, time
from actormq import Actor, Node, handler, run

def up():
    print("up", flush=True)

class Stuck(Actor):
    @handler
    async def wait(self) -> None:
        up()
        await asyncio.Event().wait()

    @handler
    async def swallow(self) -> None:
        up()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

    @handler
    def spin(self) -> None:
        up()
        while True:
            pass

    @handler(blocking=True)
    def block(self) -> None:
        up()
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
    if sys.argv[1] in dir(Stuck) and sys.argv[1] != "on_stop":
        stuck.tell(sys.argv[1])
    elif sys.argv[1] != "returns":
        asyncio.get_running_loop().call_soon(up)  # when this here waits
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
        await asyncio.sleep(0)
        return
    await node.stopped()

run(main, name="n", discovery=False, shutdown_timeout=float(sys.argv[2]))
print("done", flush=True)
"""

IN_TIME = 1.0 + 2.0 + 2.0  # s: shutdown_timeout, the grace, and a slow machine
AGAIN = 0.2  # s between two signals: what is still pending does not count twice
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

    def __init__(self, kinds, number, *, shutdown_timeout=1.0, insists=False):
        self.ended = {}
        running = {
            kind: subprocess.Popen(
                [sys.executable, "-W", "error", "-c", PROGRAM, kind, str(shutdown_timeout)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for kind in kinds
        }
        try:
            for process in running.values():
                assert process.stdout.readline() == "up\n"
            with Granted() as passed:
                for process in running.values():
                    process.send_signal(number)
                while insists and any(process.poll() is None for process in running.values()):
                    time.sleep(AGAIN)
                    for process in running.values():
                        process.send_signal(number)
                for kind, process in running.items():
                    out, err = process.communicate(timeout=100)
                    self.ended[kind] = (process.returncode, passed.seconds, out, err)
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
    return Programs(LONGER, signal.SIGTERM, shutdown_timeout=20.0, insists=True).ended


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONGER)
def test_a_second_signal_ends_it_at_once(twice, kind):
    status, seconds, out, err = twice[kind]
    assert status == -signal.SIGTERM, err
    assert seconds < 5.0  # of 20 and more
    assert out == ""


@pytest.mark.slow
def test_a_program_that_returns_ends_in_time_and_names_what_is_left():
    with Granted() as taken:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "returns", "1.0"],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "up\ndone\n"), done.stderr
    assert "stuck.swallow goes on although it was cancelled" in done.stderr
    assert taken.seconds < IN_TIME + 2.0


IGNORING = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"  # as nohup does


@pytest.mark.slow
def test_a_program_under_nohup_outlives_its_terminal():
    with subprocess.Popen(
        [sys.executable, "-c", f"{IGNORING}\n{PROGRAM}", "idle", "1.0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)  # would be the second one, and kill it
        out, err = process.communicate(timeout=100)
        assert (out, err, process.returncode) == ("done\n", "", 0)

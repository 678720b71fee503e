"""Programs of users whose actors run in processes: started, interrupted, killed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from granted import Granted

pytestmark = pytest.mark.slow

SCRIPT = """
    import asyncio
    import logging
    import os
    import sys
    import time

    import beside
    from actormq import Actor, Node, handler, run

    print("top of", __name__, flush=True)


    class Cruncher(Actor):
        runs_in = "process"
        hang_limit = 60.0  # s; others may have the machine for a while

        @handler
        def pid(self) -> int:
            return os.getpid()

        @handler
        def say(self, text: str) -> str:
            self.log.warning("%s", text)
            return beside.VALUE

        @handler
        def hold(self) -> None:
            time.sleep(60)

        @handler
        async def another(self) -> int:
            ref = await self.node.spawn(Cruncher)
            return await ref.ask(Cruncher.pid)

        async def on_stop(self) -> None:
            print("tidied up", flush=True)


    class Patient(Cruncher):
        hang_limit = None


    async def main(node: Node) -> None:
        cruncher = await node.spawn(Cruncher, "cruncher")
        print("pid", await cruncher.ask(Cruncher.pid), flush=True)
        print("pid", await cruncher.ask(Cruncher.another), flush=True)
        print(await cruncher.ask(Cruncher.say, "hello"), flush=True)
        if "hold" in sys.argv:
            patient = await node.spawn(Patient, "patient")
            print("pid", await patient.ask(Cruncher.pid), flush=True)
            patient.tell(Cruncher.hold)
        if "wait" in sys.argv:
            print("waiting", flush=True)
            await node.stopped()


    logging.basicConfig(format="%(levelname)s|%(name)s|%(message)s")
    run(main, discovery=False)
    print("the end", flush=True)
"""


@pytest.fixture
def program(tmp_path):
    """Starts a user's script in a session of its own; ends what is left of it."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "beside.py").write_text("VALUE = 'from beside'\n")
    started = []

    def start(*args):
        process = subprocess.Popen(
            [sys.executable, str(script), *args],
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def lines_until(process, last):
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if lines[-1] == last:
            break
    return lines


def pids(lines):
    return [int(line.split()[1]) for line in lines if line.startswith("pid ")]


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(all_of_them, seconds=2.0):
    with Granted() as passed:
        while not all(map(gone, all_of_them)):
            assert passed.seconds < seconds, [pid for pid in all_of_them if not gone(pid)]
            time.sleep(0.01)


def test_a_first_script_needs_no_guard_and_logs_in_one_format(program):
    lines = lines_until(program(), None)
    assert lines[0] == "top of __main__"
    assert lines.count("top of __actormq_main__") == 2
    assert "WARNING|__actormq_main__|cruncher: hello" in lines
    assert "from beside" in lines
    assert "".join(lines).count("tidied up") == 2  # they may meet on one line
    assert lines[-1] == "the end"
    assert all(map(gone, pids(lines)))


def test_the_death_of_a_node_is_the_death_of_its_processes_busy_or_not(program):
    process = program("wait", "hold")
    lines = lines_until(process, "waiting")
    process.kill()
    process.wait()
    wait_until_gone(pids(lines))
    assert "tidied up" not in process.stdout.read()


def test_a_signal_to_all_of_them_ends_them_in_order(program):
    process = program("wait")
    lines = lines_until(process, "waiting")
    for pid in pids(lines):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
    os.killpg(process.pid, signal.SIGINT)
    rest = lines_until(process, None)
    assert process.wait() == 0
    assert "".join(rest).count("tidied up") == 2  # they may meet on one line
    assert rest[-1] == "the end"
    assert not [line for line in rest if "was killed" in line or "Traceback" in line]
    wait_until_gone(pids(lines))


def test_what_a_script_raises_as_it_is_loaded_is_said(tmp_path):
    (tmp_path / "script.py").write_text(
        textwrap.dedent("""
        import asyncio
        from actormq import Actor, ActormqError, Node

        class Cruncher(Actor):
            runs_in = "process"

        async def main():
            async with Node(discovery=False) as node:
                try:
                    await node.spawn(Cruncher)
                except ActormqError as error:
                    print(error)

        asyncio.run(main())
        """)
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "did not start: the import of" in done.stdout
    assert "guard what a script starts with: if __name__ == '__main__'" in done.stdout


def test_a_class_of_a_session_is_refused():
    source = """
import asyncio
from actormq import Actor, Node, SetupError

class Cruncher(Actor):
    runs_in = "process"

async def main():
    async with Node(discovery=False) as node:
        try:
            await node.spawn(Cruncher)
        except SetupError as error:
            print(error)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-"], input=source, capture_output=True, text=True, timeout=100, check=True
    )
    assert "Cruncher was typed into a session" in done.stdout


@pytest.mark.parametrize("how", [["-m", "farm.work"], ["farm"]])
def test_a_module_or_folder_that_is_run_is_found_again(tmp_path, how):
    source = textwrap.dedent("""
        import os
        from actormq import Actor, handler, run

        class Cruncher(Actor):
            runs_in = "process"

            @handler
            def pid(self) -> int:
                return os.getpid()

        async def main(node):
            cruncher = await node.spawn(Cruncher)
            print(await cruncher.ask(Cruncher.pid) != os.getpid())

        if __name__ == "__main__":
            run(main, discovery=False)
        """)
    (tmp_path / "farm").mkdir()
    for name in ("__init__.py", "__main__.py", "work.py"):
        (tmp_path / "farm" / name).write_text(source)
    done = subprocess.run(
        [sys.executable, *how],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr

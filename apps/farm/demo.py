"""`actormq demo farm`: real work on three real nodes, one of which is killed in the middle.

This process is the node with the farm: it gives out tasks and takes results, and works on none.
Two workers are processes of their own, which find the farm by themselves. Once a third of the
results is there, one of them is killed, and another one started in its place.
"""

import asyncio
import logging
import secrets
import signal
import tempfile
import time
from collections import Counter
from typing import Any

from actormq import ActormqError, Node, SetupError, run
from apps.farm import thumbnails, words
from apps.farm.drawn import draw
from apps.farm.screen import Screen
from apps.farm.tasks import ContactSheet, Tasks, WordCount
from apps.processes import Processes, ProcessFailed

ENDING = 30.0  # s for all nodes to end in order; the processes of this one are Python as well
SHARE = 3  # one of so many results is there when a worker is killed
DRAWN = 60  # pictures that are drawn where nobody has named a folder of them
ERRORS = 10  # so many are shown
SHEET = "contact-sheet.jpg"
VICTIM, OTHER, SUCCESSOR = "worker-2", "worker-1", "worker-3"


def farm(folder: str | None, pictures: str | None, sheet: str | None, as_json: bool) -> None:
    """Run it; see `actormq demo farm --help`.

    Raises:
        SetupError: A folder is of no use, Pillow is missing, or a node did not start.
        SystemExit: With 1 if a task failed, or what came out is wrong.
    """
    screen = Screen(as_json)
    with tempfile.TemporaryDirectory(prefix="actormq-") as scratch:
        if pictures is None and sheet is None:
            tasks: Tasks = WordCount(_sources(folder))
        elif pictures is None:
            screen.say(f"draws {DRAWN} pictures; --pictures FOLDER takes photographs of your own")
            tasks = ContactSheet(draw(scratch, DRAWN), sheet or SHEET)
        else:
            tasks = ContactSheet(thumbnails.pictures(pictures), sheet or SHEET)
        show = Show(tasks, screen)
        # What was meant for a worker that is gone is no news: the farm has missed it itself.
        logging.getLogger("actormq.letters").setLevel(logging.ERROR)
        try:
            is_right = run(
                show.main,
                name="ventilator",
                mesh=f"demo-{secrets.token_hex(3)}",
                shutdown_timeout=ENDING,
            )
        except ProcessFailed as error:
            raise SetupError(str(error)) from error
    if not is_right:
        raise SystemExit(1)


def _sources(folder: str | None) -> list[str]:
    found = words.sources(folder)
    if not found:
        raise SetupError(f"{folder} has no Python files: name a folder that has some")
    return found


class Show:
    """One run of the demo.

    Args:
        tasks: What is to be done.
        screen: Where to show it.
    """

    def __init__(self, tasks: Tasks, screen: Screen) -> None:
        self._tasks = tasks
        self._screen = screen
        self._by_node: Counter[str] = Counter()
        self._again = 0
        self._ended_with = 0
        self._seconds = 0.0

    async def main(self, node: Node) -> bool:
        """Run it on this node, and on as many more as it takes.

        Returns:
            Whether all came out right, or somebody ended it early.
        """
        tasks = self._tasks
        s = "" if len(tasks.inputs) == 1 else "s"
        self._screen.say(
            f"{len(tasks.inputs):,} {tasks.what}{s}; three nodes: ventilator, {OTHER}, {VICTIM}"
        )
        async with Processes(node.mesh) as processes:
            try:
                return await self._compare(await self._run(node, processes))
            except asyncio.CancelledError:
                # Tidying up takes a moment; a second Ctrl-C must not leave half of it.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                done = self._by_node.total()
                self._screen.say(f"stopped early: {done:,} of {len(tasks.inputs):,} were done")
                return True
            except ActormqError as error:
                processes.check()  # a process that died explains it better
                raise SetupError(str(error)) from error

    async def _run(self, node: Node, processes: Processes) -> list[str]:
        """Have all tasks done; give the errors of those that failed."""
        for name in (OTHER, VICTIM):
            await processes.start_worker(name, 1)
        async with node.farm(self._tasks.function, workers=0, min_workers=2) as running:
            work = asyncio.ensure_future(self._work(running, processes))
            watch = asyncio.ensure_future(self._watch(running, processes))
            try:
                await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
                if watch.done():
                    await watch  # a worker did not stay
                return await work
            finally:
                for task in (work, watch):
                    task.cancel()
                await asyncio.wait([work, watch])
                progress = running.progress()
                self._again = progress.redelivered + progress.retried

    async def _work(self, running: Any, processes: Processes) -> list[str]:
        tasks, taken, begun = self._tasks, 0, time.monotonic()
        async for result in running.map(tasks.inputs):
            if not taken:
                begun = time.monotonic()
            taken += 1
            if result.error is None:
                self._by_node[result.node] += 1
                tasks.take(result.input, result.value)
            if taken == max(len(tasks.inputs) // SHARE, 1):
                there = "1 result is" if taken == 1 else f"{taken:,} results are"
                self._screen.say(f"{there} there: kills {VICTIM} with SIGKILL")
                self._ended_with = await processes.kill(VICTIM)
                await processes.start_worker(SUCCESSOR, 1)
        self._seconds = time.monotonic() - begun
        return [f"{result.input}: {result.error}" for result in running.failures]

    async def _watch(self, running: Any, processes: Processes) -> None:
        total = len(self._tasks.inputs)
        with self._screen.bar(total) as draw_bar:
            while True:
                processes.check()
                now = running.progress()
                again = f", {now.redelivered} given again" if now.redelivered else ""
                workers = f"{now.workers} worker{'' if now.workers == 1 else 's'}"
                words_ = f"{now.done:,} of {total:,}, {now.rate:,.0f}/s, {workers}{again}"
                draw_bar(now.done, words_)
                await asyncio.sleep(self._screen.frame)

    async def _compare(self, errors: list[str]) -> bool:
        """Hold what came out against what a single process makes of it, and say so."""
        tasks, count = self._tasks, self._by_node.total()
        is_right = await asyncio.to_thread(tasks.is_right)
        by_node = ", ".join(f"{name} {self._by_node[name]:,}" for name in sorted(self._by_node))
        self._screen.say(
            f"{count:,} results in {self._seconds:.1f} s ({by_node}); "
            f"{self._again:,} tasks were given again after the kill"
        )
        self._screen.say(tasks.said())
        for error in errors[:ERRORS]:
            self._screen.say(f"failed: {error}")
        if not is_right:
            self._screen.say("WRONG: one process alone comes to something else")
        elif errors:
            self._screen.say(
                f"{len(errors):,} of {len(tasks.inputs):,} {tasks.what}s failed; the others are "
                "right: one process alone comes to the same, and fails at the same"
            )
        else:
            self._screen.say(
                "right: nothing lost, nothing counted twice; "
                "one process alone, without a farm, comes to the same"
            )
        is_right = is_right and not errors
        self._screen.result(
            {
                f"{tasks.what}s": len(tasks.inputs),
                "results": count,
                "by_node": dict(self._by_node),
                "given_again": self._again,
                "failed": len(errors),
                "killed": {VICTIM: self._ended_with},
                "right": is_right,
                "seconds": round(self._seconds, 3),
                **tasks.facts,
            }
        )
        return is_right

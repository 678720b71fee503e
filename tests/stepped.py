"""A node whose loop is stepped by hand, callback by callback, under virtual time.

The node is a real one, on a simulated machine without a network: its cells, mailboxes, families,
timers and tasks are those that users run. Only who calls the next callback is the test, so that it
can act between any two of them.
"""

import asyncio
import contextlib
import logging
import math

from actormq.testing.simulation.loop import VirtualLoop
from actormq.testing.simulation.network import Conditions
from actormq.testing.simulation.record import Record
from actormq.testing.simulation.world import World

SECONDS = 1e6  # of virtual time, more than any example takes
ROUNDS = 5  # of cancelling: what is cut off may begin something more
CALLBACKS = 100_000  # more than anything takes that comes to an end


class SteppedLoop(VirtualLoop):
    """Calls one callback when it is told to."""

    @property
    def is_quiet(self):
        """Whether nothing is to be called before time goes on."""
        return not any(lane.ready for lane in self._active)

    def step(self):
        """Call the next callback of this moment; say whether there was one."""
        while self._active:
            lane = self._active[0]
            if not lane.ready:
                lane.is_active = False
                self._active.popleft()
                continue
            handle = lane.ready.popleft()
            if handle._cancelled:
                continue
            with self.running():
                handle._context.run(handle._callback, *handle._args)
            return True
        return False

    def settle(self):
        """Call what is to be called in this moment."""
        for _ in range(CALLBACKS):
            if not self.step():
                return
        raise AssertionError("the loop goes round in circles")

    def pass_time(self, seconds, after_each=lambda: None):
        """Let time go on, from timer to timer, and call what is due."""
        end = self._now + seconds
        while self.step():
            after_each()
        while (due := self._next_timer()) is not None and due <= end:
            self._jump()
            while self.step():
                after_each()
        self._now = max(self._now, end)

    def _next_timer(self):
        return min(
            (when for when, _, handle in self._timers if not handle._cancelled), default=None
        )

    @contextlib.contextmanager
    def running(self):
        """Be the running loop meanwhile."""
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)


class Bench:
    """One node, stepped by hand; errors that the runtime caught and logged are raised at the end.

    Args:
        options: The node's settings.

    Attributes:
        loop: Its loop.
        node: The node.
    """

    def __init__(self, **options):
        self.loop = SteppedLoop(SECONDS)
        self._record = Record(self.loop.time, False)  # noqa: FBT003 no trace
        self._world = World(0, self.loop, Conditions((0.0, 0.0), 0.0, 0.0), self._record)
        given = {"discovery": False, "hold_limit": math.inf, **options}
        self.node = self.loop.run_until_complete(self._world.start("bench", **given))
        self.node._end_log()  # thousands of examples have thousands of dead letters
        self._context = self._world._machines["bench"].context
        self._logged = _Errors()
        logging.getLogger("actormq").addHandler(self._logged)

    @property
    def runtime(self):
        return self.node._runtime

    def call(self, function, *args, **kwargs):
        """Call something as if a callback of the loop did, and return what it returns."""
        with self.loop.running():
            return self._context.copy().run(function, *args, **kwargs)

    def task(self, coroutine):
        """Begin a coroutine on the node's machine; nothing of it runs before the next step."""
        return self.loop.create_task(coroutine, context=self._context.copy())

    def run(self, coroutine, seconds=10.0):
        """Run a coroutine to its end."""
        task = self.task(coroutine)
        self.loop.settle()
        if not task.done():
            self.loop.pass_time(seconds)
        assert task.done(), f"{coroutine} has not ended within {seconds:g} virtual seconds"
        return task.result()

    def complaints(self):
        """Internal errors so far, and what nobody was there to hear."""
        return [*self._logged.lines, *map(repr, self.loop.failures)]

    def close(self):
        logging.getLogger("actormq").removeHandler(self._logged)
        self._record.is_over = True
        self._cut_short()
        self._world.end()
        self.loop.close()

    def _cut_short(self):
        """End what was begun by an example that is given up; Python would complain of it."""
        for _ in range(ROUNDS):
            tasks = asyncio.all_tasks(self.loop)
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            with contextlib.suppress(AssertionError):
                self.loop.settle()


class _Errors(logging.Handler):
    """Hears of what the borders of the runtime have caught that is a bug of it."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines = []

    def emit(self, record):
        text = record.getMessage()
        if "internal error" in text or record.name == "asyncio":
            self.lines.append(f"{text}: {record.exc_info and record.exc_info[1]!r}")

"""What every test stands on: a deadline, a mesh of its own, and nothing left behind.

An `async def` test runs in a loop of its own. It fails if it takes longer than `DEADLINE`, leaves
a task or a thread, or if an error was logged that it did not `expect`.
"""

import asyncio
import inspect
import logging
import secrets
import threading
import time

import pytest

from actormq import Node

DEADLINE = 30.0  # s for the whole of an async test; the slowest takes a tenth
POLL = 0.001  # s between looks at a condition


# -- async tests ----------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    asyncio.run(_complete(pyfuncitem.obj(**arguments), pyfuncitem.funcargs.get("nodes")))
    return True


async def _complete(test, nodes):
    try:
        async with asyncio.timeout(DEADLINE):
            await test
    finally:
        if nodes is not None:
            await nodes.stop()
    own = asyncio.current_task()
    await _until(lambda: asyncio.all_tasks() <= {own}, 5.0, lambda: f"tasks left: {_others(own)}")


def _others(own):
    return [task for task in asyncio.all_tasks() if task is not own]


async def _until(condition, seconds, complaint):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(complaint())
        await asyncio.sleep(POLL)


@pytest.fixture
def until():
    """Wait for a condition, sync or async; failing, say which: `await until(lambda: done)`."""

    async def until(condition, seconds=10.0):
        def complaint():
            return f"not within {seconds:g} s: {inspect.getsource(condition).strip()}"

        return await _until(condition, seconds, complaint)

    return until


# -- nodes ----------------------------------------------------------------------------------------


class Nodes:
    """The nodes of one test, all in one mesh of a random name, which nobody else can find."""

    def __init__(self):
        self.mesh = f"test-{secrets.token_hex(6)}"
        self.all = []

    @property
    def running(self):
        return [node for node in self.all if node.is_running]

    async def start(self, **options):
        """Start one more; returns when all know each other."""
        name = f"n{len(self.all)}"
        own = {"mesh": self.mesh, "name": name, "discovery": False, "shutdown_timeout": 0.2}
        options = {**own, **options}
        if self.running:
            options.setdefault("join", [self.running[0].address.removeprefix("tcp://")])
        node = Node(**options)
        await node.start()
        self.all.append(node)
        await self.acquainted()
        return node

    async def pair(self, **options):
        return await self.start(**options), await self.start(**options)

    async def acquainted(self):
        """Wait until each running node knows all the others."""
        ids = {node.id for node in self.running}

        def know_each_other():
            return all(
                {peer.facts.node for peer in node.mesh_view.peers()} == ids - {node.id}
                for node in self.running
            )

        await _until(know_each_other, 10.0, lambda: "the nodes did not meet within 10 s")

    async def stop(self):
        await asyncio.gather(*(node.stop() for node in self.all))


@pytest.fixture
def nodes():
    """Starts nodes in a mesh of the test's own and stops them at its end."""
    return Nodes()


@pytest.fixture
def mesh():
    """The name of a mesh that is nobody else's, for tests that start nodes by themselves."""
    return f"test-{secrets.token_hex(6)}"


# -- nothing unexpected ---------------------------------------------------------------------------


class Logged(logging.Handler):
    """The errors that were logged, and which of them the test has reckoned with."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines = []
        self.expected = []

    def emit(self, record):
        error = record.exc_info[1] if record.exc_info else None
        self.lines.append(f"{record.name}: {record.getMessage()}{f': {error!r}' if error else ''}")

    def expect(self, *texts):
        """Reckon with errors whose lines hold one of these texts; each must come at least once."""
        self.expected += texts

    def complaints(self):
        surprises = [x for x in self.lines if not any(text in x for text in self.expected)]
        absent = [text for text in self.expected if not any(text in x for x in self.lines)]
        return [f"logged: {x}" for x in surprises] + [f"expected in the log: {x}" for x in absent]


@pytest.fixture(autouse=True)
def logged():
    """Fails a test for errors in the log of actormq or asyncio, but those it expects."""
    handler = Logged()
    loggers = [logging.getLogger(name) for name in ("actormq", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler
    for logger in loggers:
        logger.removeHandler(handler)
    complaints = handler.complaints()
    if complaints:
        pytest.fail("\n".join(complaints))


@pytest.fixture(autouse=True)
def no_thread_left():
    """Fails a test that leaves a thread of a node behind."""
    yield
    end = time.monotonic() + 5.0
    while threads := _threads_of_nodes():
        if time.monotonic() > end:
            pytest.fail(f"threads left: {threads}")
        threads[0].join(POLL)


def _threads_of_nodes():
    ours = ("actormq", "asyncio_")
    return [thread for thread in threading.enumerate() if thread.name.startswith(ours)]

"""A thread of its own for one actor, with a loop of its own: what holds it holds nobody else.

The node's loop feeds it with `call_soon_threadsafe`, which wakes it through asyncio's own pair of
sockets; what comes back takes the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from actormq.actor import Actor
from actormq.context import Context
from actormq.deadlines import Served
from actormq.elsewhere.away import Away, AwayNode
from actormq.elsewhere.bench import Bench
from actormq.errors import ActorStopped, StartFailed
from actormq.place import THREAD, Reported, Tenant
from actormq.ref import Ref
from actormq.runtime import Runtime
from actormq.stepping import Exit
from actormq.wording import kind_of, text_of

T = TypeVar("T")


class ThreadPlace:
    """The object in a thread of its own.

    Args:
        tenant: The actor's cell.
        kind: Its class.
        args: What the constructor takes.
        kwargs: Likewise.
    """

    def __init__(
        self, tenant: Tenant, kind: type[Actor], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> None:
        self._runtime = tenant.runtime
        self._tenant = tenant
        self._kind = kind
        self._args, self._kwargs = args, kwargs
        self._thread: _Thread | None = None
        self.is_open = False
        self.left: Any = None

    async def open(self) -> None:
        """Start the thread, make the object in it."""
        self._thread = _Thread(self._runtime, self._tenant, self._kind)
        await self._thread.make(self._args, self._kwargs)
        self.is_open = True

    def run(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], served: Served | None
    ) -> asyncio.Future[Any]:
        """Run a method there; see `Place.run`."""
        if self._thread is None or not self.is_open:
            future: asyncio.Future[Any] = self._runtime.loop.aio.create_future()
            future.set_exception(Reported(ActorStopped(self._tenant.address.label)))
            return future
        return self._thread.run(name, args, kwargs, served)

    async def close(self, seconds: float) -> None:
        """End the thread; one that does not come to its end is left behind, and the log says so."""
        thread, self._thread, self.is_open = self._thread, None, False
        if thread is not None:
            self.left = thread.object
        if thread is not None and not await thread.close(seconds):
            label = self._tenant.address.label
            text = f"the thread of {label} is busy{thread.business}"
            self._runtime.leave_unfinished(lambda: thread.is_over, text)
            self._runtime.events.notice(
                logging.WARNING,
                "the thread of actor %r is still busy%s: it was left to itself and ends when that "
                "does",
                self._tenant.address.label,
                thread.business,
            )


class _Thread:
    """One thread, from its start to its end."""

    def __init__(self, runtime: Runtime, tenant: Tenant, kind: type[Actor]) -> None:
        self._runtime = runtime
        self._tenant = tenant
        self._kind = kind
        self._aio = asyncio.new_event_loop()
        self._numbers = itertools.count(1)
        self._runs: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self.object: Actor | None = None
        self._made: asyncio.Future[None] = runtime.loop.aio.create_future()
        self._gone = asyncio.Event()
        self._over = asyncio.Event()  # used in the thread only
        self._bench = Bench(kind, self._aio, runtime.threads, self._done)
        label = tenant.address.label
        # A daemon: an actor that hangs must not keep the interpreter from its end.
        self._thread = threading.Thread(target=self._live, name=f"actormq-{label}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    @property
    def business(self) -> str:
        """What it is doing, for the log: the first of what is under way holds the others up."""
        name, _ = next(iter(self._runs.values()), ("", None))
        return f" with {name}" if name else ""

    # -- on the node's loop -------------------------------------------------------------------

    async def make(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Make the object; raises what its constructor does."""
        self._aio.call_soon_threadsafe(self._make, args, kwargs)
        await self._made

    def run(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], served: Served | None
    ) -> asyncio.Future[Any]:
        """Run a method."""
        number = next(self._numbers)
        future: asyncio.Future[Any] = self._runtime.loop.aio.create_future()
        self._runs[number] = (name, future)
        spec = self._bench.find(name, self._tenant.address.label)

        def forget(future: asyncio.Future[Any]) -> None:
            if future.cancelled():
                self._tell(self._bench.cancel, number)

        future.add_done_callback(forget)
        # Both loops have the same clock: deadlines need no conversion.
        self._tell(self._bench.begin, number, spec, args, kwargs, served)
        return future

    def _tell(self, callback: Any, *args: Any) -> None:
        if not self._aio.is_closed():
            self._aio.call_soon_threadsafe(callback, *args)

    def _settle(self, number: int, value: Any, error: BaseException | None) -> None:
        _, future = self._runs.pop(number, ("", None))
        if future is None or future.done():
            return
        if error is None:
            future.set_result(value)
        elif isinstance(error, asyncio.CancelledError):
            future.cancel()
        elif isinstance(error, Exception):
            future.set_exception(error)
        else:  # no future of the node's loop may hold a SystemExit
            future.set_exception(Exit(error))

    async def close(self, seconds: float) -> bool:
        """End it; says whether it has ended."""
        self._made.cancel()
        for _, future in list(self._runs.values()):
            future.cancel()
        self._tell(self._over.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        return self._gone.is_set()

    # -- in the thread ------------------------------------------------------------------------

    def _live(self) -> None:
        asyncio.set_event_loop(self._aio)
        try:
            self._aio.run_until_complete(self._until_over())
        finally:
            self._aio.run_until_complete(self._aio.shutdown_asyncgens())
            self._aio.close()
            self._runtime.loop.call_from_thread(self._gone.set)

    async def _until_over(self) -> None:
        await self._over.wait()
        await self._bench.close()

    def _make(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        tenant, runtime = self._tenant, self._runtime
        home = runtime.node
        node = _ThreadNode(home.id, home.name, home.mesh, THREAD)
        node.home, node.loop = home, runtime.loop.aio
        context: Context = Away(
            self._kind,
            tenant.address,
            Ref(tenant),  # type: ignore[arg-type]  # a cell is the route to itself
            node,
            self._aio,
            self,
        )
        error: StartFailed | None = None
        try:
            self._bench.make(context, args, kwargs)
        except BaseException as raised:  # noqa: BLE001 a border: constructors are not ours
            label = tenant.address.label
            error = StartFailed(label, "its constructor", kind_of(raised), text_of(raised))
            error.__cause__ = raised
        runtime.loop.call_from_thread(self._set_made, error)

    # -- the actor's powers, used in the thread -----------------------------------------------

    def find(self, name: str) -> object:
        """See `Powers`."""
        return self._bench.find(name, self._tenant.address.label)

    def send_self(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """See `Powers`."""
        self._runtime.loop.call_from_thread(self._tenant.after, 0.0, name, args, kwargs)

    async def spawn(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Ref[Any]:
        """See `Powers`."""
        spawned = self._tenant.spawn(kind, name, args, kwargs)
        return await _there(spawned, self._runtime.loop.aio)

    def watch(self, ref: Ref[Any]) -> None:
        """See `Powers`."""
        self._runtime.loop.call_from_thread(self._tenant.watch, ref)

    def unwatch(self, ref: Ref[Any]) -> None:
        """See `Powers`."""
        self._runtime.loop.call_from_thread(self._tenant.unwatch, ref)

    # -- back home ----------------------------------------------------------------------------

    def _set_made(self, error: StartFailed | None) -> None:
        if self._made.done():
            return
        if error is None:
            self.object = self._bench.actor
            self._made.set_result(None)
        else:
            self._made.set_exception(error)

    def _done(self, number: int, value: Any, error: BaseException | None) -> None:
        self._runtime.loop.call_from_thread(self._settle, number, value, error)


class _ThreadNode(AwayNode):
    """The node, whose coroutines run on its loop."""

    home: Any
    loop: asyncio.AbstractEventLoop

    async def find(self, name: str, *, timeout: float | None = None) -> Ref[Any]:
        """See `Node.find`."""
        return await _there(self.home.find(name, timeout=timeout), self.loop)

    async def spawn(
        self, actor: Any, name: str | None = None, /, *args: Any, **kwargs: Any
    ) -> Ref[Any]:
        """See `Node.spawn`."""
        return await _there(self.home.spawn(actor, name, *args, **kwargs), self.loop)


async def _there(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Run a coroutine on the node's loop and await it here."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

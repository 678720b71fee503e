"""Runs a program on a node of its own, and ends it in order when a signal says so."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar, Unpack

from actormq.elsewhere.finding import pass_over
from actormq.node import Node
from actormq.settings import NodeOptions

R = TypeVar("R")

_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):  # the terminal was closed; Windows has no word for it
    _SIGNALS.append(signal.SIGHUP)


def run(
    main: Callable[[Node], Coroutine[object, object, R]], /, **options: Unpack[NodeOptions]
) -> R:
    """Start a node, run `main` on it, stop the node.

    Ctrl-C and SIGTERM end it in order; a second one at once. A `main` that waits for
    `node.stopped()` sees that and returns; any other is cancelled.

    Args:
        main: Is given the node; when it returns, the node stops.
        options: The node's settings, see `Settings`.

    Returns:
        What `main` returned.

    Raises:
        SystemExit: A signal cut `main` off, with status 128 and the signal's number.
    """
    pass_over()  # in a process of an actor, this script is loaded for its classes only
    status: list[int] = []

    async def body(node: Node) -> R:
        async with node:
            return await main(node)

    async def guarded() -> R:
        node = Node(**options)
        task = asyncio.ensure_future(body(node))

        def end(number: int) -> None:
            status.append(number)
            if node.is_awaited:
                node.keep(asyncio.ensure_future(node.stop()))
            else:
                task.cancel()

        with ending_on_signals(end):
            return await task

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if status:
            raise SystemExit(128 + status[0]) from None
        raise


@contextlib.contextmanager
def ending_on_signals(end: Callable[[int], object]) -> Iterator[None]:
    """Call `end` with the number of the first SIGINT, SIGTERM or SIGHUP.

    A second signal ends the process at once, without a word.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def first(number: int) -> None:
        for other in before:
            loop.remove_signal_handler(other)
            signal.signal(other, signal.SIG_DFL)
        end(number)

    for number in _SIGNALS:
        handler = signal.getsignal(number)
        # Not on the main thread, or on Windows' loop: whoever runs us there ends us.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, first, number)
            before[number] = handler
    try:
        yield
    finally:
        for installed, handler in before.items():
            loop.remove_signal_handler(installed)
            signal.signal(installed, handler)

"""Runs a program on a node of its own, and ends it in order when a signal says so."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import TypeVar, Unpack

from actormq.node import Node
from actormq.settings import NodeOptions

R = TypeVar("R")


def run(
    main: Callable[[Node], Coroutine[object, object, R]], /, **options: Unpack[NodeOptions]
) -> R:
    """Start a node, run `main` on it, stop the node.

    Ctrl-C and SIGTERM end it in order; a second one at once.

    Args:
        main: Is given the node; when it returns, the node stops.
        options: The node's settings, see `Settings`.

    Returns:
        What `main` returned.

    Raises:
        SystemExit: A signal ended it, with status 128 and the signal's number.
    """
    status: list[int] = []

    async def body() -> R:
        async with Node(**options) as node:
            return await main(node)

    async def guarded() -> R:
        task = asyncio.ensure_future(body())

        def end(number: int) -> None:
            status.append(number)
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
    """Call `end` with the number of the first SIGINT or SIGTERM; a second one acts as ever."""
    loop = asyncio.get_running_loop()
    installed: list[int] = []

    def first(number: int) -> None:
        remove()
        end(number)

    def remove() -> None:
        while installed:
            loop.remove_signal_handler(installed.pop())

    for number in (signal.SIGINT, signal.SIGTERM):
        # Not on the main thread, or on Windows' loop: whoever runs us there ends us.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, first, number)
            installed.append(number)
    try:
        yield
    finally:
        remove()

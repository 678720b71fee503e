"""Runs a program on a node of its own, and ends it in order when a signal says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from actormq.errors import SetupError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from actormq.node import Node
    from actormq.settings import NodeOptions

R = TypeVar("R")


def run(
    main: Callable[[Node], Coroutine[object, object, R]], /, **options: Unpack[NodeOptions]
) -> R:
    """Start a node, run `main` on it, stop the node.

    Ctrl-C ends it in order, SIGTERM drains it before (see `Node.drain`), and a second signal ends
    it at once. A `main` that waits for `node.stopped()` sees that and returns; any other is
    cancelled. What does not end within `shutdown_timeout` is named and left behind, even if it
    holds the loop.

    Args:
        main: Is given the node; when it returns, the node stops.
        options: The node's settings, see `Settings`.

    Returns:
        What `main` returned.

    Raises:
        SetupError: `main` is no coroutine function, or a setting cannot be.
        SystemExit: A signal cut `main` off, or something did not end after one; with status 128
            and the signal's number. Or a handler raised it.
        RestartLimitReached: A supervisor under no other one gave up.
    """
    # Here, since the package imports this module before all others: see `_HOMES` there.
    import asyncio  # noqa: PLC0415
    import inspect  # noqa: PLC0415
    import signal  # noqa: PLC0415

    from actormq.elsewhere.finding import pass_over  # noqa: PLC0415
    from actormq.ending import run_to_end  # noqa: PLC0415
    from actormq.node import Node  # noqa: PLC0415

    pass_over()  # in a process of an actor, this script is loaded for its classes only
    _check_main(main)
    node = Node(**options)

    async def body() -> R:
        await node.start()  # not `async with`: what ended the node is raised outside of the loop
        try:
            work = main(node)
            if not inspect.isawaitable(work):
                raise SetupError(f"run({main!r}): make it `async def`, for it runs on the loop")
            return await work
        finally:
            await node.stop()

    def end(task: asyncio.Task[R], number: int) -> None:
        if number == signal.SIGTERM and node.begin_drain():
            return
        if node.is_awaited:
            node.keep(asyncio.ensure_future(node.stop()))
        else:
            task.cancel()

    return run_to_end(node, body(), end)


def _check_main(main: Any) -> None:
    import inspect  # noqa: PLC0415 as above

    if inspect.iscoroutine(main):
        main.close()
    if not callable(main):
        raise SetupError("run takes the function itself, `async def main(node)`: write run(main)")

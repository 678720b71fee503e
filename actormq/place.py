"""Where the object of an actor lives if not on its node's loop, as the cell sees it.

The cell keeps the mailbox, the turns, the name and the ref. The place keeps the user's object, and
runs what the cell tells it to. `elsewhere/` has the places; here is what they and the cell agree
on, so that neither imports the other.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from actormq.address import Address
from actormq.context import Timer
from actormq.deadlines import Served
from actormq.errors import ActormqError, SetupError

if TYPE_CHECKING:
    from actormq.ref import Ref
    from actormq.runtime import Runtime

LOOP, THREAD, PROCESS = "loop", "thread", "process"


class Place(Protocol):
    """The home of one actor's object; may be opened again after it was closed or lost.

    Attributes:
        is_open: Whether the object is there.
        left: The object of before, None where it went with its process.
    """

    is_open: bool
    left: Any

    async def open(self) -> None:
        """Make the object there, with the arguments that the place was made with.

        Raises:
            StartFailed: The constructor raised, or the place itself could not be had.
        """

    def run(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], served: Served | None
    ) -> asyncio.Future[Any]:
        """Run a method of the object there: a handler, or a hook such as `on_start`.

        Args:
            name: The method.
            args: Its arguments.
            kwargs: Likewise.
            served: The message that it serves, None for a hook.

        Returns:
            A future of what it returns. One that is cancelled cuts the method off.
            It fails with what the method raised, or with `Reported`.
        """

    async def close(self, seconds: float) -> None:
        """End the place, after `seconds` by force; one that has ended is no error.

        Messages under way are cut off. `on_stop` is not run: that is one `run` before.
        """


class Tenant(Protocol):
    """The cell, as its place sees it."""

    runtime: Runtime

    @property
    def address(self) -> Address:
        """Where the actor lives."""

    def after(
        self, seconds: float, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Timer:
        """Send the actor a message later."""

    async def spawn(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Ref[Any]:
        """Start a child of the actor."""

    def serving(self) -> Sequence[tuple[asyncio.Future[Any], Served]]:
        """The handlers under way."""

    def watch(self, ref: Ref[Any]) -> None:
        """Let the actor be told of the end of another."""

    def unwatch(self, ref: Ref[Any]) -> None:
        """Let it be told no more."""

    def place_lost(self, error: ActormqError, handler: str) -> None:
        """The place has ended by itself, with the object in it; `handler` is what it was at.

        What was under way has failed already; what waits in the mailbox is still there.
        """


class Places(Protocol):
    """The places of a node."""

    def new(
        self, tenant: Tenant, kind: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Place | None:
        """Make the place of an actor that does not run on the loop; it is not open yet.

        Args:
            tenant: The actor's cell.
            kind: Its class.
            args: What its constructor takes.
            kwargs: Likewise.

        Returns:
            The place; None where there is none but the loop, as in a simulation.

        Raises:
            SetupError: The class cannot run there.
            NotEncodable: An argument cannot travel there.
        """

    async def close(self) -> None:
        """End those that are still open, by force."""


class Reported(Exception):
    """What came of a message elsewhere, as its asker shall see it.

    Attributes:
        error: The asker's error. Of a `RemoteError` the cause holds the traceback as text.
        has_run: Whether the handler was begun; else the message was refused on the way.
        is_answer: Whether the exception is one that the handler's `raises` names.
    """

    def __init__(
        self, error: ActormqError, *, has_run: bool = True, is_answer: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.has_run = has_run
        self.is_answer = is_answer


def check_class(kind: type, runs_in: object, hang_limit: object, sockets: Sequence[str]) -> None:
    """Make sure that a class can run where it says.

    Args:
        kind: The class.
        runs_in: Its `runs_in`.
        hang_limit: Its `hang_limit`.
        sockets: The attributes of its that are sockets.

    Raises:
        SetupError: There is no such place, a limit that is none, or a socket off the loop.
    """
    name = kind.__qualname__
    if runs_in not in (LOOP, THREAD, PROCESS):
        raise SetupError(
            f'{name}.runs_in is {runs_in!r}: an actor runs in the node\'s "loop", in a "thread" '
            'of its own or in a "process" of its own'
        )
    is_number = isinstance(hang_limit, int | float) and not isinstance(hang_limit, bool)
    if hang_limit is not None and not (is_number and hang_limit > 0):  # type: ignore[operator]  # a number, as the line above says
        raise SetupError(
            f"{name}.hang_limit is {hang_limit!r}: give a number of seconds above 0, or None to "
            "let it hold its loop for as long as it likes"
        )
    if runs_in != LOOP and sockets:
        raise SetupError(
            f"{name} runs in a {runs_in} and has the socket {sockets[0]!r}: sockets live on the "
            "node's loop; give it to an actor beside this one, which tells this one what comes "
            "and sends what it is told"
        )


def limit_of(hang_limit: float | None) -> float:
    """Seconds that an actor may hold its loop; infinite if nobody minds."""
    return math.inf if hang_limit is None else float(hang_limit)

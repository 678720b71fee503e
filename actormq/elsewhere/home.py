"""The node of an actor, as the process of that actor reaches it."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from actormq import errors
from actormq.address import Address
from actormq.deadlines import Deadlines, deadline_for
from actormq.elsewhere import words
from actormq.elsewhere.away import AwayNode
from actormq.elsewhere.finding import target_of
from actormq.errors import ActormqError, DeliveryError, RemoteError
from actormq.loop import Loop
from actormq.message import Envelope
from actormq.place import PROCESS
from actormq.ref import Ref
from actormq.reply import Reply


class Home(AwayNode):
    """`self.node` in the process of an actor, and the way of all its refs.

    Args:
        id_: The node's id.
        name: Its name.
        mesh: The name of its mesh.
        loop: The process's own loop.
        deadlines: Likewise.
        say: Sends the node an envelope, with arguments behind it unless they are None.
        ask_timeout: Seconds for an ask without `within`.
    """

    def __init__(
        self,
        id_: str,
        name: str,
        mesh: str,
        loop: Loop,
        deadlines: Deadlines,
        say: Callable[[str, Envelope, Sequence[Any] | None, dict[str, Any] | None], None],
        ask_timeout: float,
    ) -> None:
        super().__init__(id_, name, mesh, PROCESS)
        self.loop = loop
        self.deadlines = deadlines
        self.say = say
        self.ask_timeout = ask_timeout
        self._numbers = itertools.count(1)
        self._pending: dict[int, HomeReply] = {}

    def ref(self, address: Address) -> Ref[Any]:
        """A ref to an actor, of the node or of any other: the node passes on what it is told."""
        return Ref(HomeRoute(self, address))

    async def find(self, name: str, *, timeout: float | None = None) -> Ref[Any]:
        """See `Node.find`."""
        reply = self.reply("find", name)
        wait = -1.0 if timeout is None else float(timeout)
        self.request(reply, math.inf, lambda number: [words.FIND, number, wait, name])
        found: Ref[Any] = await reply
        return found

    async def spawn(
        self, actor: Any, name: str | None = None, /, *args: Any, **kwargs: Any
    ) -> Ref[Any]:
        """Start an actor on the node; its class and arguments must be such as can travel."""
        return await self.start(actor, name, args, kwargs, is_child=False)

    async def start(
        self,
        kind: Any,
        name: str | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        is_child: bool,
    ) -> Ref[Any]:
        """Start an actor on the node, as a child of this one or not."""
        target = target_of(kind)
        reply = self.reply("spawn", target)

        def head(number: int) -> Envelope:
            return [words.SPAWN, number, is_child, target, name]

        self.request(reply, math.inf, head, args, kwargs)
        spawned: Ref[Any] = await reply
        return spawned

    # -- requests -----------------------------------------------------------------------------

    def reply(self, actor: str, handler: str, seconds: float = math.inf) -> HomeReply:
        """A reply to be, of `actor.handler`."""
        return HomeReply(self, actor, handler, seconds)

    def request(
        self,
        reply: HomeReply,
        deadline: float,
        head: Callable[[int], Envelope],
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Ask the node for something; from any thread.

        Args:
            reply: Where what comes of it goes.
            deadline: When it ends, on this loop's clock.
            head: Makes the envelope up to the arguments of its number.
            args: The arguments, None for none at all.
            kwargs: Likewise.
        """
        if not self.loop.is_current():
            self.loop.call_from_thread(self.request, reply, deadline, head, args, kwargs)
            return
        reply.arm(self.deadlines, deadline)
        reply.number = next(self._numbers)
        try:
            self.send(reply.actor, head(reply.number), args, kwargs)
        except DeliveryError as error:
            error.undelivered = (reply.handler, tuple(args or ()), kwargs or {})
            reply.reject(error)
            return
        self._pending[reply.number] = reply

    def send(
        self,
        to: str,
        head: Envelope,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Send an envelope, with arguments or without."""
        self.say(to, head, args, kwargs)

    def send_or_log(
        self, to: str, head: Envelope, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> None:
        """Send for a thread, which goes on meanwhile and cannot be told."""
        try:
            self.send(to, head, args, kwargs)
        except DeliveryError as error:
            logging.getLogger("actormq").warning("nothing was sent: %s", error)

    def forget(self, number: int) -> None:
        """Whoever asked has given up."""
        self._pending.pop(number, None)

    def answered(self, number: int, value: Any, error: ActormqError | None) -> None:
        """An answer of the node."""
        reply = self._pending.pop(number, None)
        if reply is None:
            return
        if error is None:
            reply.resolve(value)
        else:
            reply.reject(error)


class HomeReply(Reply[Any]):
    """The answer to a request that the node passes on."""

    __slots__ = ("_home", "number")

    def __init__(self, home: Home, actor: str, handler: str, seconds: float) -> None:
        super().__init__(home.loop, actor, handler, seconds)
        self._home = home
        self.number = 0

    def expire(self) -> None:
        """Give up, and do not wait for what may come later."""
        self._home.forget(self.number)
        super().expire()


class HomeRoute:
    """The way to any actor: through the node."""

    __slots__ = ("_home", "address")

    def __init__(self, home: Home, address: Address) -> None:
        self._home = home
        self.address = address

    def tell(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """See `Ref.tell`."""
        home = self._home
        head = [words.TELL, home.ref(self.address), _name(handler)]
        if home.loop.is_current():
            home.send(self.address.label, head, args, kwargs)
        else:
            home.loop.call_from_thread(home.send_or_log, self.address.label, head, args, kwargs)

    def ask(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[Any]:
        """See `Ref.ask`."""
        return self._request(words.ASK, handler, args, kwargs, within)

    def _request(
        self,
        kind: int,
        handler: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        within: float | None,
    ) -> Reply[Any]:
        home, address, name = self._home, self.address, _name(handler)
        seconds, deadline = deadline_for(home.loop.now(), within, home.ask_timeout)
        reply = home.reply(address.label, name, seconds)

        def head(number: int) -> Envelope:
            left = max(deadline - home.loop.now(), 1e-3)
            return [kind, number, left, home.ref(address), name]

        home.request(reply, deadline, head, args, kwargs)
        return reply

    def send(
        self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None
    ) -> Reply[None]:
        """See `Ref.send`."""
        return self._request(words.SEND, handler, args, kwargs, within)

    def offer(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """See `Ref.offer`."""
        try:
            self.tell(handler, args, kwargs)
        except DeliveryError:
            return False
        return True

    def stop(self, within: float | None) -> Reply[None]:
        """See `Ref.stop`."""
        home, address = self._home, self.address
        reply = home.reply(address.label, "stop")

        def head(number: int) -> Envelope:
            return [words.STOP, number, float(within or 0.0), home.ref(address)]

        home.request(reply, math.inf, head)
        return reply


def _name(handler: Any) -> str:
    return handler if isinstance(handler, str) else getattr(handler, "__name__", repr(handler))


def remade(name: str, facts: Sequence[Any]) -> ActormqError:
    """Make an error again that came from the other process."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ActormqError):
        try:
            return kind(*facts)
        except TypeError:
            pass
    return RemoteError("?", "?", name, ", ".join(map(str, facts)))

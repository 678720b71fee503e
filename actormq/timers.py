"""Messages that an actor sends itself later, once or again and again."""

from __future__ import annotations

from typing import Any, Protocol

from actormq.marks import HandlerSpec
from actormq.runtime import Runtime


class Host(Protocol):
    """What a timer knows of its cell."""

    runtime: Runtime

    def put_or_drop(self, message: Any) -> None:
        """Queue a message."""

    def forget(self, timer: Any) -> None:
        """Let go of a timer that has run out."""


class Once:
    """One message after `seconds`."""

    __slots__ = ("_handle", "_host", "_message")

    def __init__(self, host: Host, seconds: float, message: Any) -> None:
        self._host = host
        self._message = message
        self._handle = host.runtime.loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._host.forget(self)
        self._host.put_or_drop(self._message)

    def cancel(self) -> None:
        """Do not send it."""
        self._handle.cancel()
        self._host.forget(self)


class Periodic:
    """One message every `seconds`, at a fixed rate; one that still waits stands for the next.

    It is its message's answer as well: that is how it learns that the turn is over.
    """

    is_asked = False

    __slots__ = ("_due_at", "_handle", "_host", "_is_waiting", "_seconds", "_spec", "deadline")

    def __init__(self, host: Host, seconds: float, spec: HandlerSpec) -> None:
        self._host = host
        self._seconds = seconds
        self._spec = spec
        self._is_waiting = False
        self.deadline = 0.0
        self._due_at = host.runtime.loop.now() + seconds
        self._handle = host.runtime.loop.call_later(seconds, self._due)

    def _due(self) -> None:
        loop = self._host.runtime.loop
        now = loop.now()
        # A loop that slept for many periods does not make up for them.
        missed = int((now - self._due_at) / self._seconds)
        self._due_at += (missed + 1) * self._seconds
        self._handle = loop.call_later(max(self._due_at - now, 0.0), self._due)
        if not self._is_waiting:
            self._is_waiting = True
            self._host.put_or_drop((self._spec, (), None, self))

    def cancel(self) -> None:
        """Send no more."""
        self._handle.cancel()
        self._host.forget(self)

    def is_open(self) -> bool:
        """It always wants its turn."""
        return True

    def resolve(self, _value: Any) -> None:
        """The turn is over."""
        self._is_waiting = False

    def reject(self, _error: BaseException) -> None:
        """The turn is over, and it failed."""
        self._is_waiting = False

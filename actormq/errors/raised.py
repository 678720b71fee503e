"""It ran, and raised: a handler, a task of a farm, or all that a supervisor restarted."""

from __future__ import annotations

from actormq.errors.root import ActormqError, described


class RemoteError(ActormqError):
    """The handler ran and raised.

    Where asker and actor share a process, `__cause__` is the exception itself.

    Attributes:
        type: The exception's class, qualified by its module unless built in.
        text: What `str()` of the exception gave.
        traceback: The traceback as text, from the handler inward.
    """

    def __init__(self, actor: str, handler: str, kind: str, text: str, traceback: str = "") -> None:
        super().__init__(
            f"{actor}.{handler} raised {described(kind, text)}",
            actor,
            handler,
            kind,
            text,
            traceback,
        )
        self.type, self.text, self.traceback = kind, text, traceback


class TaskFailed(ActormqError):
    """A task of a farm raised, and its exception cannot be made again here.

    Attributes:
        type: The exception's class, qualified by its module unless built in.
        text: What `str()` of the exception gave.
        traceback: The traceback as text, from the function inward.
    """

    def __init__(self, kind: str, text: str, traceback: str = "") -> None:
        super().__init__(f"a task raised {described(kind, text)}", kind, text, traceback)
        self.type, self.text, self.traceback = kind, text, traceback


class TaskTimeout(TaskFailed, TimeoutError):
    """A task of a farm took too long each time, and its process was ended each time."""

    def __init__(self, how: str) -> None:
        ActormqError.__init__(self, f"a task {how}", how)
        self.type, self.text, self.traceback = "", how, ""


class TaskLost(TaskFailed):
    """A task of a farm during which its workers died, one after the other."""

    def __init__(self, how: str) -> None:
        ActormqError.__init__(self, f"a task was lost each time: the last process {how}", how)
        self.type, self.text, self.traceback = "", how, ""


class ResultRefused(ActormqError):
    """A task of a farm has run, and its result cannot travel."""


class RestartLimitReached(ActormqError):
    """A supervisor gave up: its children failed more often than it may restart them."""

    def __init__(
        self, supervisor: str, child: str, restarts: int, period: float, text: str
    ) -> None:
        super().__init__(
            f"supervisor {supervisor!r} gave up: {child!r} failed again, {text}, after {restarts} "
            f"restarts within {period:g} s; mend what fails, or raise max_restarts",
            supervisor,
            child,
            restarts,
            period,
            text,
        )

"""What the rules of supervision ask of whoever runs the actors."""

from __future__ import annotations

import msgspec


class Start(msgspec.Struct, frozen=True):
    """Start the child; answer with `started` or `start_failed`."""

    key: int


class Stop(msgspec.Struct, frozen=True):
    """Stop the child, which may be starting still; answer with `ended` or `start_failed`."""

    key: int


class Wait(msgspec.Struct, frozen=True):
    """Call `due` in so many seconds; it takes the place of an earlier one for the same child."""

    key: int
    seconds: float


class Forget(msgspec.Struct, frozen=True):
    """The child is gone for good; also the answer to `remove`, and to `add` if it never started."""

    key: int


class Started(msgspec.Struct, frozen=True):
    """Each child of `begin` has been started."""


class StartFailed(msgspec.Struct, frozen=True):
    """This child of `begin` could not be started; all others have ended again."""

    key: int


class GiveUp(msgspec.Struct, frozen=True):
    """The budget is spent: the supervisor fails because of this child; all others have ended."""

    key: int


class Done(msgspec.Struct, frozen=True):
    """All have ended, as `stop` wanted."""


Action = Start | Stop | Wait | Forget | Started | StartFailed | GiveUp | Done
"""What the caller is to do; a list of them is done in its order."""

End = StartFailed | GiveUp | Done

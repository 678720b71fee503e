"""What the runtime tells an actor about the lives of others and its own, apart from messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from actormq.ref import Ref

Reason = Literal["stopped", "failed", "node lost"]
"""Why an actor has ended: it was stopped, it failed for good, or its whole node is gone."""

STOPPED: Reason = "stopped"
FAILED: Reason = "failed"
NODE_LOST: Reason = "node lost"


class Terminated(msgspec.Struct, frozen=True):
    """An actor that was watched has ended for good.

    Attributes:
        ref: The actor.
        reason: "stopped", "failed" or "node lost".
        detail: More words: the error, or what is known of the node; may be empty.

    Source: `Terminated` of Pekko, the `DOWN` message of Erlang.
    """

    ref: Ref[Any]
    reason: Reason
    detail: str = ""


class Failure(msgspec.Struct, frozen=True):
    """Why an actor is restarted.

    Attributes:
        error: What was raised, by this actor or by the sibling on whose account it is restarted.
        handler: In which of its methods; "" where it was a sibling's.
        restart_count: How often it has been restarted, this time included.
        previous: The instance that failed, with all its state; None where that is gone with
            its process, or the constructor itself raised.
    """

    error: BaseException
    handler: str
    restart_count: int
    previous: Any

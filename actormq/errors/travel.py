"""The errors that may answer an ask from another node: by name and facts, and made again there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actormq.errors.call import NameTaken, NodeNotRunning, StartFailed
from actormq.errors.delivery import (
    ActorNotFound,
    ActorStopped,
    ArgumentMismatch,
    AskCircle,
    HandlerNotFound,
    MailboxFull,
    MessageTooLarge,
    NodeUnreachable,
    NotEncodable,
)
from actormq.errors.outcome import AskTimeout, HandlerCancelled, PeerLost, ProcessLost
from actormq.errors.raised import RemoteError
from actormq.errors.root import ActormqError
from actormq.errors.wire import RemoteProtocolError

TRAVELLING: dict[str, type[ActormqError]] = {
    error.__name__: error
    for error in (
        ActorNotFound,
        ActorStopped,
        ArgumentMismatch,
        AskCircle,
        AskTimeout,
        HandlerCancelled,
        HandlerNotFound,
        MailboxFull,
        MessageTooLarge,
        NameTaken,
        NodeNotRunning,
        NodeUnreachable,
        NotEncodable,
        PeerLost,
        ProcessLost,
        RemoteError,
        StartFailed,
    )
}
"""The errors that may answer an ask from another node, by the name they have on the wire."""


def rebuilt(name: str, facts: Sequence[Any]) -> ActormqError:
    """Make the error again that a peer sent.

    Args:
        name: Its name in `TRAVELLING`; an unknown one becomes a `RemoteError` of that type.
        facts: Its facts, in the order of its constructor.

    Raises:
        RemoteProtocolError: The facts do not fit the error of that name.
    """
    kind = TRAVELLING.get(name)
    if kind is None:
        return RemoteError("?", "?", name, ", ".join(map(str, facts)))
    try:
        return kind(*facts)
    except (TypeError, ValueError) as error:
        raise RemoteProtocolError(f"error {name!r} with unfit facts: {error}") from error

"""Bytes and peers that do not belong here, and our own mistakes."""

from __future__ import annotations

from actormq.errors.root import ActormqError


class ProtocolError(ActormqError):
    """Bytes that are not the protocol of `docs/wire.md`."""


class LocalProtocolError(ProtocolError):
    """We would have broken the wire format."""


class RemoteProtocolError(ProtocolError):
    """A peer broke the wire format."""


class SecurityError(ActormqError):
    """Not let in: another mesh, another protocol version, another user's loopback."""


class InternalError(ActormqError):
    """A bug of actormq: please report it with the sentence and the traceback."""

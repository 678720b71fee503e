"""Where things live: small frozen values that any layer may hold and send."""

from __future__ import annotations

import os
import sys

import msgspec

NODE_SERIAL = 0
"""The serial of a node's own actor, which answers for the node: what it runs, stop that one."""


def new_node_id() -> str:
    """Draw the id of a node: 16 hex digits, new for every process, so that none is mistaken."""
    return os.urandom(8).hex()


class Address(msgspec.Struct, frozen=True):
    """Where one actor lives.

    Attributes:
        node: The node's id, 16 hex digits; a process that starts again has another one.
        serial: The actor's number on that node, never used twice.
        label: What people call it: its name, or class and serial where it has none.
    """

    node: str
    serial: int
    label: str


class ActorEntry(msgspec.Struct, frozen=True):
    """One named actor as its node announces it.

    Attributes:
        serial: Its number on its node.
        name: Its name.
        kind: Its class, `module:Class`.
        elected: Whether one actor of the mesh holds the name at a time.
        holds: Whether it is that one; of others always.
    """

    serial: int
    name: str
    kind: str
    elected: bool = False
    holds: bool = True


class ServiceEntry(msgspec.Struct, frozen=True):
    """One end of a service as its node announces it.

    Attributes:
        serial: Number of the socket on its node.
        service: The name that connectors look for.
        socket: ZeroMQ's name of the socket type, such as `XPUB`.
        codec: `msgpack`, `text` or `raw`.
        endpoints: Where it is bound; `tcp://*:PORT` stands for the node's own address. None of
            them: it connects to those who have bound, and is named for the pairing only.
    """

    serial: int
    service: str
    socket: str
    codec: str
    endpoints: tuple[str, ...]


def ipc_endpoint(name: str) -> str:
    """An ipc endpoint of that name that leaves no file behind when its process is killed.

    Linux has names outside the file system for it, one set of them per network namespace, so
    that two "hosts" of a test cannot meet there by mistake. Elsewhere it is a socket file.
    """
    return f"{_ipc_prefix()}{name}"


def is_own_ipc(endpoint: str) -> bool:
    """Whether an ipc endpoint that somebody named is one that actormq makes on this host."""
    return endpoint.startswith(_ipc_prefix()) and "/" not in endpoint.removeprefix(_ipc_prefix())


def _ipc_prefix() -> str:
    if sys.platform.startswith("linux"):
        return "ipc://@actormq-"
    else:  # noqa: RET505 a plain return would be unreachable code to mypy on Linux
        import tempfile  # noqa: PLC0415 brings compressors along, which Linux need not load

        return f"ipc://{tempfile.gettempdir()}/actormq-{os.getuid()}-"

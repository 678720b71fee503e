"""Every default, limit and timeout: value, unit, reason.

`Node(...)`, `run(main, ...)`, the `[node]` table of a topology file and `actormq node` take the
same names, those of `NodeOptions`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

import msgspec

from actormq.errors import SetupError
from actormq.seeds import dns_name_of, place_of

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
"""Names of meshes and nodes: they travel in DNS labels, which hold 63 bytes."""

# -- links ------------------------------------------------------------------------------------
FRAME_MESSAGES = 256  # envelopes joined into one frame: past 64 the gain is gone, 256 bounds delay
FRAME_BYTES = 64 * 1024  # bytes; a longer frame gains nothing and holds the loop while it decodes
ASIDE_BYTES = 64 * 1024  # bytes; a frame of its own is half the price of a place in msgpack
BUFFER_BYTES = 256 * 1024  # bytes; from here on zmq's zero copy is cheaper than memcpy (measured)
HANDSHAKE_TIMEOUT = 2.0  # s from connect to welcome; a LAN needs 10 ms, a busy Pi some 100
DRAIN_MESSAGES = 64  # messages taken from a socket per wake-up: keeps one flood from hogging

# -- turns ------------------------------------------------------------------------------------
PAUSE_EVERY = 256  # actors started or stopped in a row, some 3 µs each, before others have a turn
SPARE_MAILBOXES = 1_000  # empty ones that are kept for the next actors with messages: 0.7 MB
TURN_MESSAGES = 256  # messages one actor may handle before the next actor's turn
TURN_SECONDS = 0.0005  # s one actor may hold the loop; past it links are flushed, others run
ROW_MESSAGES = 8  # quick ones between two looks at the clock; a look costs as much as a handler
CONCURRENT_LIMIT = 1_000  # handlers of one actor under way at once; then no further one begins
TICK_SECONDS = 0.005  # s of turns before sockets and timers are looked at again

# -- mesh -------------------------------------------------------------------------------------
TICK_INTERVAL = 0.25  # s between looks at the peers: death is judged within this
RECONNECT_GRACE = 0.75  # s for a peer whose connection broke to be reached again; kill -9: < 2 s
GUEST_SILENCE = 10.0  # s after which a guest that says nothing is forgotten
HELLO_SILENCE = 5.0  # s likewise for a node that said hello and cannot be spoken to
LINK_IDLE = 60.0  # s after which an idle link is closed, where there are too many to keep them all

# -- elected names ----------------------------------------------------------------------------
OFFER_KNOWN = 0.5  # s after which all know of a new offer: two that come at once do not both take
STANDBY_LIMIT = 2.0  # s for on_standby of an actor that lets go; a heal is complete within 5 s
ELECTION_INTERVAL = 0.25  # s between looks at names of which it is not known yet who holds them
ELECTION_REST = 1.0  # s between looks at all others, where nothing happens; changes come sooner

# -- draining ---------------------------------------------------------------------------------
DRAIN_QUIET = 0.5  # s without a message, after which all peers know that the names are withdrawn
DRAIN_SHARE = 0.5  # at most, of the time that actors have; the rest is for the end in order
DRAIN_INTERVAL = 0.02  # s between looks at what is still under way

# -- sockets of actors ---------------------------------------------------------------------------
TOPIC_BYTES = 255  # bytes of a topic: subscriptions are the publisher's memory
TOPICS_NUMBERED = 65_536  # topics with a counter of their own, per publisher; then a new stream
SOCKET_WINDOW = 1_000  # messages of one socket read ahead of an actor that has not handled them
LINES_LIMIT = 8  # requests of one Requester that are under way to one endpoint at a time
OUTLET_LIMIT = 1_000  # messages that wait before one socket with full="drop", as many as in it


class NodeOptions(TypedDict, total=False):
    """What a node can be told; every key is optional, `Settings` has the defaults."""

    name: str
    mesh: str
    join: Sequence[str]
    dns: Sequence[str]
    port: int
    discovery: bool
    insecure_lan: bool
    lan: bool
    mailbox_limit: int
    ask_timeout: float
    start_timeout: float
    shutdown_timeout: float
    hold_limit: float
    expected_nodes: int
    message_limit: int
    buffer_limit: int
    link_limit: int
    spin: float


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one node, checked.

    Attributes:
        name: The node's name, for people; empty: the host's name and a random ending.
        mesh: Only nodes of the same mesh talk to each other.
        join: `HOST` or `HOST:PORT` of nodes to dial, for where multicast does not reach.
        dns: Names that DNS is asked for again and again: `NAME`, `NAME:PORT`, and either with
            `@SERVER:PORT` behind it where another server than the host's is to be asked.
        port: TCP port of the node's link socket. 0 takes a free one, and before that, with
            `insecure_lan`, `DEFAULT_PORT` if it is free.
        discovery: Whether zeroconf is used to find the others.
        insecure_lan: Listen on all interfaces without keys. Anybody on the LAN may then call
            every handler.
        lan: Kept for the keyed mesh, which is not there yet.
        mailbox_limit: Messages that an actor's mailbox holds.
        ask_timeout: Seconds until an ask without `within` fails.
        start_timeout: Seconds that an actor's `on_start` may take.
        shutdown_timeout: Seconds that a node may take to stop.
        hold_limit: Seconds that a handler may hold the loop before it is said; inf: for ever.
        expected_nodes: How many nodes the mesh has when all are there; where more than half of them
            are not, nobody is elected. 0: nobody has said, and each part of a mesh may elect.
        message_limit: Bytes of one packed message, large buffers not counted.
        buffer_limit: Bytes of one large buffer (bytes, array) that travels beside its message.
        link_limit: Bytes that may wait for one peer.
        spin: Seconds to look for an answer of another node before the loop sleeps, once an ask has
            left: less latency for a busy processor. 0 to 0.001.
    """

    name: str = ""
    mesh: str = "default"
    join: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    discovery: bool = True
    insecure_lan: bool = False
    lan: bool = False
    mailbox_limit: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    ask_timeout: Annotated[float, msgspec.Meta(gt=0)] = 5.0  # as OTP's gen_server:call
    start_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    shutdown_timeout: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    # Ten times what people notice, a third of what the mesh takes for a silent peer's heartbeat.
    hold_limit: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    expected_nodes: Annotated[int, msgspec.Meta(ge=0)] = 0
    message_limit: Annotated[int, msgspec.Meta(ge=1024)] = 4 * 1024 * 1024  # as gRPC
    buffer_limit: Annotated[int, msgspec.Meta(ge=1024)] = 256 * 1024 * 1024
    link_limit: Annotated[int, msgspec.Meta(ge=1024)] = 64 * 1024 * 1024
    # At most, for timers and other sockets wait as long.
    spin: Annotated[float, msgspec.Meta(ge=0, le=0.001)] = 0.0


def checked(options: dict[str, Any] | NodeOptions) -> Settings:
    """Make settings from what a user gave.

    Raises:
        SetupError: An unknown setting, a value of the wrong type or out of range, a name with
            characters that cannot travel, a `join` that is no place, a `dns` that is no name.
    """
    unknown = sorted(set(options) - set(Settings.__struct_fields__))
    if unknown:
        known = ", ".join(Settings.__struct_fields__)
        raise SetupError(f"unknown setting {unknown[0]!r}: a node knows {known}")
    for key, what in (("join", "HOST:PORT"), ("dns", "NAME")):
        if isinstance(options.get(key), str):
            raise SetupError(f"{key} takes a list of {what!r}, not one string")
    try:
        settings = msgspec.convert(dict(options), Settings, strict=True)
    except msgspec.ValidationError as error:
        raise SetupError(f"setting {_plain(str(error), options)}") from error
    _check_name("mesh", settings.mesh)
    if settings.name:
        _check_name("node", settings.name)
    for place in settings.join:
        place_of(place)
    for name in settings.dns:
        dns_name_of(name)
    if settings.lan:
        raise SetupError(
            "lan is the keyed mesh across machines, which this version does not have yet: "
            "leave it out to stay on this machine, or say --insecure-lan on a network you trust"
        )
    return settings


def _plain(text: str, options: Mapping[str, object]) -> str:
    """What msgspec says of a value, with the setting's name in front and the value behind."""
    what, at, place = text.partition(" - at `$.")
    name = re.split(r"[`\[.]", place)[0]
    if not at or name not in options:
        return f"not understood: {text}"
    return f"{name}: {what[:1].lower()}{what[1:].replace('`', '')}, not {options[name]!r}"


def _check_name(what: str, name: str) -> None:
    if not NAME_PATTERN.match(name):
        raise SetupError(
            f"{what} name {name!r} cannot be used: take 1 to 63 of the letters A-Z a-z, digits "
            "and . _ -, beginning with a letter or digit"
        )

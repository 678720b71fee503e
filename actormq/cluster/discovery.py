"""What a node tells of itself, and the interface of whatever carries it.

Discovery gives **hints**: an announcement may be wrong, old or forged, and nobody signs it.
It says where to dial; whether that node is there, and is let in, is found out by dialling.
So everything that comes from outside is checked here before anyone acts on it or prints it,
and one error, `AnnouncementError`, tells what was wrong.

An announcement travels as a DNS TXT record (RFC 6763 section 6):
a list of `key=value` items, each behind one byte of length.

| key | holds |
| --- | --- |
| `v` | wire protocol version, in decimal digits |
| `i` | node id |
| `m`, `n`, `s` | mesh, node name, scope, in UTF-8 |
| `e0` … `e63` | endpoints, without a gap |

Keys that this version does not know are left alone, so that a later one may add some.
`Sightings` remembers, in bounded memory, who has announced itself.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME_LIMIT: Final = (
    63  # characters; at most 252 bytes of UTF-8, and TXT items hold 255 with their key
)
ENDPOINT_COUNT_LIMIT: Final = 64  # a host with 30 addresses, twice
ENDPOINT_LIMIT: Final = 200  # bytes; an ipc path ends at 107 on Linux, a DNS name at 253 but seldom
PROTOCOL_LIMIT: Final = 65535  # two bytes are ample for a version
TXT_LIMIT: Final = 8192  # bytes; zeroconf neither sends nor reads packets of more than 8 966
TXT_ITEM_LIMIT: Final = 255  # bytes; RFC 6763 section 6.1, one length byte
KNOWN_LIMIT: Final = 256  # instances; gossip makes a larger mesh whole from fewer hints
RECORD_LIFE: Final = 120  # s; what RFC 6762 section 10 advises for records that name a host
CONTESTED_FOR: Final = 10.0  # s after an instance said something else in which it is asked again
_SHOWN_LIMIT: Final = 80  # characters of foreign text that a reason may quote

_NODE_ID = re.compile(r"[0-9a-f]{16}")
_SCOPE = re.compile(r"lan|loopback:[0-9A-Za-z._-]{1,32}")
_TCP = re.compile(r"tcp://(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._-]+)?\]):([0-9]{1,5})")
_PORT_LIMIT = 65535


class AnnouncementError(ValueError):
    """An announcement that nobody should act on; says why, in one line that is safe to print."""


class TooManyKnown(AnnouncementError):
    """There is no room for another instance until an old one ends."""


class DiscoveryUnavailable(RuntimeError):
    """This source of hints cannot work here; the node goes on without it.

    Args:
        source: What was tried, such as "mDNS on loopback".
        cause: What stood in the way, in a few words.
    """

    def __init__(self, source: str, cause: str) -> None:
        super().__init__(
            f"{source} cannot start ({cause}): "
            "name a node that is already there with --join HOST:PORT"
        )
        self.source = source
        self.cause = cause


class Announcement(msgspec.Struct, frozen=True):
    """What a node tells of itself, and what others find.

    Attributes:
        mesh: The mesh that it belongs to, 1 to 63 printable characters.
        node_id: 16 lower-case hex digits, one per process.
        name: The node's name, 1 to 63 printable characters.
        scope: Who may reach it: `lan`, or `loopback:UID` for one user's nodes on its own host.
        endpoints: ZeroMQ endpoints to dial, `tcp://HOST:PORT` or `ipc://PATH`;
            1 to 64 of them, at most 200 bytes each.
        protocol: Version of the wire protocol that it speaks, 0 to 65535.

    Raises:
        AnnouncementError: A value is outside these bounds.
    """

    mesh: str
    node_id: str
    name: str
    scope: str
    endpoints: tuple[str, ...]
    protocol: int

    def __post_init__(self) -> None:
        _check_name("mesh", self.mesh)
        _check_name("name", self.name)
        if not _NODE_ID.fullmatch(self.node_id):
            raise AnnouncementError(f"the node id is not 16 hex digits: {_shown(self.node_id)}")
        if not _SCOPE.fullmatch(self.scope):
            raise AnnouncementError(f"no such scope: {_shown(self.scope)}")
        if not 0 <= self.protocol <= PROTOCOL_LIMIT:
            raise AnnouncementError(f"the protocol is not within 0 to {PROTOCOL_LIMIT}")
        if not 1 <= len(self.endpoints) <= ENDPOINT_COUNT_LIMIT:
            raise AnnouncementError(
                f"{len(self.endpoints)} endpoints, not 1 to {ENDPOINT_COUNT_LIMIT}"
            )
        for endpoint in self.endpoints:
            _check_endpoint(endpoint)


class Discovery(Protocol):
    """A source of hints: says who we are, and calls back with whom it found."""

    @property
    def refused_count(self) -> int:
        """Announcements that were malformed or too many to keep, a count since the start."""

    async def start(
        self,
        found: Callable[[Announcement], None],
        is_calm: Callable[[], bool] = lambda: False,
    ) -> None:
        """Look for others from now on.

        Args:
            found: Called on the running loop, for a node that still announces itself again and
                again, for our own never.
            is_calm: Says whether there is nobody to be looked for; then one asks less often.

        Raises:
            DiscoveryUnavailable: This source cannot work here.
        """

    async def announce(self, announcement: Announcement) -> None:
        """Tell of ourselves, instead of what was told before; returns once it has been said."""

    async def withdraw(self) -> None:
        """Take back what was told; does nothing if nothing was."""

    async def refresh(self) -> None:
        """Tell and look on the interfaces that the host has now."""

    async def stop(self) -> None:
        """Withdraw and look no longer; `found` is not called after this."""


def to_txt(announcement: Announcement) -> dict[bytes, bytes]:
    """Write an announcement as TXT items.

    Returns:
        Keys and values in the order of sending; at most 255 bytes an item, 8 192 together.

    Raises:
        AnnouncementError: They would be longer: there are too many long endpoints.
    """
    items = {
        b"v": b"%d" % announcement.protocol,
        b"i": announcement.node_id.encode(),
        b"m": announcement.mesh.encode(),
        b"n": announcement.name.encode(),
        b"s": announcement.scope.encode(),
    }
    for number, endpoint in enumerate(announcement.endpoints):
        items[b"e%d" % number] = endpoint.encode()
    size = sum(2 + len(key) + len(value) for key, value in items.items())  # length byte and `=`
    if size > TXT_LIMIT:
        raise AnnouncementError(f"the announcement takes {size} bytes, the limit is {TXT_LIMIT}")
    return items


def from_txt(properties: Mapping[bytes, bytes | None]) -> Announcement:
    """Read an announcement from TXT items that anybody may have written.

    Args:
        properties: Keys and values; None for a key without `=`. Unknown keys are left alone.

    Raises:
        AnnouncementError: And nothing else, whatever the items hold.
    """
    digits = _value(properties, b"v")
    if not (digits.isdigit() and len(digits) <= len(str(PROTOCOL_LIMIT))):
        raise AnnouncementError(f"the protocol is not a number: {_shown(digits)}")
    endpoints = []
    # One step past the limit, so that Announcement sees that there are too many, and no further.
    for number in range(ENDPOINT_COUNT_LIMIT + 1):
        key = b"e%d" % number
        if key not in properties:
            break
        endpoints.append(_text(properties, key))
    return Announcement(
        mesh=_text(properties, b"m"),
        node_id=_text(properties, b"i"),
        name=_text(properties, b"n"),
        scope=_text(properties, b"s"),
        endpoints=tuple(endpoints),
        protocol=int(digits),
    )


def split_txt(text: bytes) -> dict[bytes, bytes | None]:
    """Take the data of a TXT record apart.

    Args:
        text: Items one after another, each behind its length byte, as RFC 6763 section 6.1 has it.

    Returns:
        Keys and values; None for a key without `=`. Of a key that comes twice, the first.

    Raises:
        AnnouncementError: More than 8 192 bytes, or an item ends past the record.
    """
    if len(text) > TXT_LIMIT:
        raise AnnouncementError(f"{len(text)} bytes of TXT, the limit is {TXT_LIMIT}")
    items: dict[bytes, bytes | None] = {}
    at = 0
    while at < len(text):
        end = at + 1 + text[at]
        if end > len(text):
            raise AnnouncementError("a TXT item ends past its record")
        key, equals, value = text[at + 1 : end].partition(b"=")
        items.setdefault(key, value if equals else None)
        at = end
    return items


class _Sighting(msgspec.Struct):
    """What an instance said last.

    Attributes:
        announcement: What was understood of it; None if it was refused.
        text: The TXT data as it came, to tell news from repetition without parsing it.
        heard: When it was said last, in seconds on the caller's clock.
        life: How long that holds, in seconds from then.
        changed: When it said something else than before: it moved, or somebody spoke in its name.
    """

    announcement: Announcement | None
    text: bytes
    heard: float
    life: float
    changed: float = -math.inf


class Sightings:
    """Who announces itself at present, in bounded memory. No socket, no clock.

    A thousand forged names must not cost more than a bound, nor push out who is really there.
    When the table is full, room is made by dropping, in this order: whoever is past its end,
    whoever was refused, and whoever has been silent for more than half its life, for it has been
    asked since and did not answer.
    If all are alive and well, the newcomer is refused; gossip still brings it in.

    Args:
        read: Makes an announcement of an instance's full name, in lower case, and the data of its
            TXT record, or raises `AnnouncementError`.
        limit: Instances kept, a count.
    """

    def __init__(
        self, read: Callable[[str, bytes], Announcement], limit: int = KNOWN_LIMIT
    ) -> None:
        self._read = read
        self._limit = limit
        self._known: dict[str, _Sighting] = {}
        self.refused_count = 0

    def hear(self, instance: str, text: bytes, life: float, now: float) -> Announcement | None:
        """Take in a TXT record.

        Args:
            instance: Full name of the service instance, in lower case.
            text: The record's data.
            life: Its time to live, in seconds; no more than `RECORD_LIFE` is granted.
            now: The present, in seconds.

        Returns:
            The announcement if it says something new, else None.

        Raises:
            AnnouncementError: It was refused and counted, as malformed or as `TooManyKnown`.
                A repetition of what was refused is not counted again while it is remembered.
        """
        life = min(life, RECORD_LIFE)
        old = self._known.get(instance)
        if old is not None and old.text == text:
            old.heard, old.life = now, life
            return None
        try:
            announcement = self._read(instance, text)
            if old is None and not self._has_room(now):
                raise TooManyKnown(f"{self._limit} nodes are known, which is the limit")
        except AnnouncementError as refusal:
            self.refused_count += 1
            # Anybody may speak in another's name, so what made sense is kept. A newcomer's nonsense
            # is remembered while there is room, so that its repetitions cost one comparison.
            if old is None and not isinstance(refusal, TooManyKnown) and self._has_spare_room():
                self._known[instance] = _Sighting(None, text, now, life)
            raise
        changed = now if old is not None and old.announcement is not None else -math.inf
        self._known[instance] = _Sighting(announcement, text, now, life, changed)
        return announcement

    def forget(self, instance: str, text: bytes) -> None:
        """Take in the end of a record, by a goodbye or by its age.

        Args:
            instance: Full name of the service instance, in lower case.
            text: The data of the record that ended; who has said something else since stays.
        """
        old = self._known.get(instance)
        if old is not None and old.text == text:
            del self._known[instance]

    def current(self, now: float) -> list[Announcement]:
        """List the announcements whose records have not ended by `now`, in seconds."""
        self._drop_ended(now)
        return [seen.announcement for seen in self._known.values() if seen.announcement]

    def settled(self, now: float) -> list[tuple[str, float]]:
        """List whom there is no need to ask: instances and the rest of their life, in seconds.

        One that has just said something else is asked: of two who speak in a name, the owner
        answers each time.

        Source: RFC 6762 section 7.1: a known answer past half its life is not to be listed.
        """
        return [
            (name, seen.heard + seen.life - now)
            for name, seen in self._known.items()
            if now - seen.heard < seen.life / 2 and now - seen.changed >= CONTESTED_FOR
        ]

    def _has_spare_room(self) -> bool:
        return len(self._known) < self._limit

    def _has_room(self, now: float) -> bool:
        if self._has_spare_room():
            return True
        self._drop_ended(now)
        if not self._has_spare_room():
            silent = [
                (seen.announcement is not None, seen.heard, name)
                for name, seen in self._known.items()
                if seen.announcement is None or now - seen.heard > seen.life / 2
            ]
            if silent:
                del self._known[min(silent)[-1]]
        return self._has_spare_room()

    def _drop_ended(self, now: float) -> None:
        for name in [n for n, seen in self._known.items() if seen.heard + seen.life <= now]:
            del self._known[name]


def _check_name(field: str, value: str) -> None:
    # Printable only: these names reach terminals and logs, where an escape sequence does harm.
    if not (1 <= len(value) <= NAME_LIMIT and value.isprintable()):
        raise AnnouncementError(
            f"the {field} is not 1 to {NAME_LIMIT} printable characters: {_shown(value)}"
        )


def _check_endpoint(endpoint: str) -> None:
    # isprintable comes first: what it admits has no lone surrogate and can be encoded.
    if not (endpoint.isprintable() and len(endpoint.encode()) <= ENDPOINT_LIMIT):
        raise AnnouncementError(
            f"an endpoint is not {ENDPOINT_LIMIT} printable bytes at most: {_shown(endpoint)}"
        )
    if endpoint.startswith("ipc://") and len(endpoint) > len("ipc://"):
        return
    tcp = _TCP.fullmatch(endpoint)
    if tcp is None or not 1 <= int(tcp[1]) <= _PORT_LIMIT:
        raise AnnouncementError(f"not tcp://HOST:PORT or ipc://PATH: {_shown(endpoint)}")


def _value(properties: Mapping[bytes, bytes | None], key: bytes) -> bytes:
    value = properties.get(key)
    if value is None:
        raise AnnouncementError(f"no value for {key.decode()}")
    if len(value) > TXT_ITEM_LIMIT:
        raise AnnouncementError(f"{len(value)} bytes for {key.decode()}, more than an item holds")
    return value


def _text(properties: Mapping[bytes, bytes | None], key: bytes) -> str:
    try:
        return _value(properties, key).decode()
    except UnicodeDecodeError:
        raise AnnouncementError(f"the value for {key.decode()} is not UTF-8") from None


def _shown(value: str | bytes) -> str:
    """Quote foreign text so that it can be printed: escaped, and no longer than a line."""
    return ascii(value[:_SHOWN_LIMIT])

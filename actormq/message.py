"""The envelopes: what nodes say to each other. `docs/wire.md` is the specification.

An envelope is a msgpack array whose first element is its kind.
Here are the kinds, and a builder for each that other code should not have to spell out.
"""

from __future__ import annotations

import functools
from typing import Any, TypeGuard

import msgspec

from actormq.errors import RemoteProtocolError

MAGIC = "actormq"
PROTOCOL = 1  # version of everything below; a peer of another one is refused with a sentence

HELLO = 0  # [0, "actormq", version, facts]        first on every link
WELCOME = 1  # [1, version, facts]                 the answer, on the same connection
REFUSED = 2  # [2, reason, sentence]               the other answer; the connection is of no use
TELL = 3  # [3, to, handler, args, kwargs?]
ASK = 4  # [4, ask id, seconds left, to, handler, args, kwargs?]
REPLY = 5  # [5, ask id, value]
FAIL = 6  # [6, ask id, error, facts]
PING = 7  # [7, token, digest?]                     are you there? what I know of the mesh, hashed
PONG = 8  # [8, token, digest?]
LEAVE = 9  # [9, reason]                           a clean end
PEERS = 10  # [10, [record, …]]                    what is said of nodes
STATE = 11  # [11, node, base, version, [actor, …], [service, …], [serial, …]]   come, come, gone
SEND = 12  # [12, ask id, seconds left, to, handler, args, kwargs?]   a REPLY says it was queued
WATCH = 13  # [13, serial, whether]                tell me of that actor's end, or no more
TERMINATED = 14  # [14, serial, reason, detail]    that actor of mine has ended
PROBE = 15  # [15, ask id, serial, origin, [step, …]]   do you wait for me, by way of others?
HELP = 16  # [16, node]                            I cannot reach that node: can you?
HELPED = 17  # [17, node, whether]                 the answer
DIGEST = 18  # [18, [hash, …]]                     what I know of the mesh, a hash for each part
SUMMARY = 19  # [19, parts, [[node, incarnation, edition, version], …]]   what I know of some parts
WANT = 20  # [20, [node, …]]                       tell me more of those
TELLS = 21  # [21, to, handler, [args, …]]         as many TELLs, in this order
SHARE = 22  # [22, serial, pid, descriptor, name, size]   memory to open; [22, serial]: no more
OPENED = 23  # [23, serial]                        I have opened it
LEND = 24  # [24, [[serial, length], …], envelope]   its buffers are in that memory
ASKS = 25  # [25, [ask id, …], seconds left, to, handler, [args, …]]   as many ASKs, in this order
REPLIES = 26  # [26, [ask id, …], [value, …]]      as many REPLYs, in this order

Envelope = list[Any]
"""A kind and what belongs to it, as decoded."""

REASON_VERSION = "version"
REASON_MESH = "mesh"
REASON_SCOPE = "scope"
REASON_STALE = "stale"  # this incarnation was declared dead: come back with a higher one
REASON_STRANGER = "stranger"  # frames from a connection that has not said hello


class Facts(msgspec.Struct, frozen=True):
    """What a node says of itself in its hello and welcome.

    Attributes:
        mesh: The mesh's name; a guest may say "" for whichever there is.
        node: The node's id, 16 hex digits.
        incarnation: Counts how often this process had to come back as a new member, from 1.
        name: The node's name, for people.
        scope: Who may reach it: "lan", or "loopback:UID" for one user of one host.
        endpoints: Where its link socket can be dialled; none for a guest.
        host: Names the machine and its network, so that ipc is tried only where it can work.
        edition: Counts what it has said anew of itself within this incarnation, from 0.
        seniority: Its place in the order of age, the oldest has 1; 0 before it has taken one.
        uptime: Seconds since it started, as it said so in a hello; 0.0 in a record.
    """

    mesh: str
    node: str
    incarnation: int
    name: str
    scope: str
    endpoints: tuple[str, ...]
    host: str
    edition: int = 0
    seniority: int = 0
    uptime: float = 0.0

    @property
    def _lasting(self) -> tuple[object, ...]:
        """All but the uptime, by which two hellos of one node differ."""
        own = self.mesh, self.node, self.incarnation, self.name, self.scope
        return *own, self.endpoints, self.host, self.edition, self.seniority

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Facts):
            return NotImplemented
        return self._lasting == other._lasting

    def __hash__(self) -> int:
        return hash(self._lasting)

    @property
    def is_guest(self) -> bool:
        """Whether it listens nowhere, as the command line does."""
        return not self.endpoints

    def packed(self) -> dict[str, Any]:
        """The facts as a map; a reader passes over keys that it does not know."""
        return {
            "mesh": self.mesh,
            "node": self.node,
            "incarnation": self.incarnation,
            "name": self.name,
            "scope": self.scope,
            "endpoints": list(self.endpoints),
            "host": self.host,
            "edition": self.edition,
            "seniority": self.seniority,
            **({"uptime": self.uptime} if self.uptime else {}),
        }


_TEXT_LIMIT = 255  # bytes of each text in a hello; names hold 63, ipc paths 107
_ENDPOINTS_LIMIT = 64
_NODE_DIGITS = 16
_FOR_EVER = 1e12  # s
_FACTS_LIMIT = 2_048  # facts that are kept, whoever says them; at most 16 kB each
_WRONG_ENDPOINTS = f"a node's endpoints are at most {_ENDPOINTS_LIMIT} texts"


def facts_from(raw: Any) -> Facts:
    """Read the facts of a hello, a welcome or a list of peers.

    Raises:
        RemoteProtocolError: A key is missing, of the wrong type or too long.
    """
    if not isinstance(raw, dict):
        raise RemoteProtocolError(f"a node's facts are a map, not {type(raw).__name__}")
    endpoints = raw.get("endpoints")
    if not isinstance(endpoints, list) or len(endpoints) > _ENDPOINTS_LIMIT:
        raise RemoteProtocolError(_WRONG_ENDPOINTS)
    get = raw.get
    said = get("mesh"), get("node"), get("name"), get("scope"), get("host"), get("incarnation")
    try:
        facts = _facts(*said, tuple(endpoints), get("edition", 0), get("seniority", 0))
    except TypeError as error:  # a list or a map, where a text or a number should be
        raise RemoteProtocolError("a node's facts are texts and numbers") from error
    uptime = get("uptime", 0.0)
    if not isinstance(uptime, int | float) or not 0 <= uptime < _FOR_EVER:
        raise RemoteProtocolError("a node's uptime is a number of seconds")
    return msgspec.structs.replace(facts, uptime=float(uptime)) if uptime else facts


@functools.lru_cache(maxsize=_FACTS_LIMIT, typed=True)
def _facts(
    mesh: Any,
    node: Any,
    name: Any,
    scope: Any,
    host: Any,
    incarnation: Any,
    endpoints: tuple[Any, ...],
    edition: Any,
    seniority: Any,
) -> Facts:
    """Check facts; the same come again and again, and are kept once."""
    texts = {"mesh": mesh, "node": node, "name": name, "scope": scope, "host": host}
    for key, value in texts.items():
        # Printable only: these texts reach terminals and logs.
        if not isinstance(value, str) or not _is_line(value, _TEXT_LIMIT):
            raise RemoteProtocolError(
                f"a node's {key} is a printable text of at most {_TEXT_LIMIT} characters"
            )
    if not _is_node(node):
        raise RemoteProtocolError("a node's id is 16 hex digits")
    if not _is_count(incarnation) or incarnation == 0:
        raise RemoteProtocolError("a node's incarnation is a positive integer")
    if not (_is_count(edition) and _is_count(seniority)):
        raise RemoteProtocolError("a node's edition and seniority are integers from 0")
    if not all(isinstance(e, str) and _is_line(e, _TEXT_LIMIT) for e in endpoints):
        raise RemoteProtocolError(_WRONG_ENDPOINTS)
    return Facts(mesh, node, incarnation, name, scope, endpoints, host, edition, seniority)


STEPS_LIMIT = 32  # handlers in a circle over several nodes; a longer one is left to its deadlines
STEP_LIMIT = 1_000  # characters of one of them, "actor.handler (behind actor.handler)"


def probe(
    number: int, serial: int, origin: tuple[str, int] | None, steps: tuple[str, ...]
) -> Envelope:
    """Build a probe.

    Args:
        number: The ask that it follows, as the asker numbered it.
        serial: The actor that was asked.
        origin: The ask that it looks for: the asker's node, and the number there; None: no one yet.
        steps: The handlers on the way from where that ask waits.
    """
    return [PROBE, number, serial, None if origin is None else list(origin), list(steps)]


def probe_from(envelope: Envelope) -> tuple[int, int, tuple[str, int] | None, tuple[str, ...]]:
    """Read a probe, into what `probe` took.

    Raises:
        RemoteProtocolError: It has another shape.
    """
    match envelope:
        case [_, int(number), int(serial), None, [], *_]:
            return number, serial, None, ()
        case [_, int(number), int(serial), [str(node), int(ask), *_], [_, *_] as steps, *_] if (
            _is_node(node)
            and len(steps) <= STEPS_LIMIT
            and all(isinstance(step, str) and _is_line(step, STEP_LIMIT) for step in steps)
        ):
            return number, serial, (node, ask), tuple(steps)
    raise RemoteProtocolError("a probe has another shape")


def is_node(text: Any) -> bool:
    """Whether something is the id of a node: 16 hex digits."""
    return isinstance(text, str) and _is_node(text)


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**63


def _is_node(text: str) -> bool:
    return len(text) == _NODE_DIGITS and set(text) <= set("0123456789abcdef")


def _is_line(text: str, limit: int) -> bool:
    return len(text) <= limit and text.isprintable()


def hello(facts: Facts) -> Envelope:
    """Build the first envelope of a link."""
    return [HELLO, MAGIC, PROTOCOL, facts.packed()]


def welcome(facts: Facts) -> Envelope:
    """Build the answer that lets a peer in."""
    return [WELCOME, PROTOCOL, facts.packed()]


def hello_from(envelope: Envelope) -> tuple[int, Facts | None]:
    """Read a hello.

    Returns:
        Its protocol version, and its facts if the version is ours; another version's facts
        may look different and are not read.

    Raises:
        RemoteProtocolError: It is no hello of any version.
    """
    if len(envelope) < 4 or envelope[0] != HELLO or envelope[1] != MAGIC:  # noqa: PLR2004 the shape above
        raise RemoteProtocolError("a link begins with a hello")
    version = envelope[2]
    if not isinstance(version, int):
        raise RemoteProtocolError("a hello says its protocol version as an integer")
    return version, facts_from(envelope[3]) if version == PROTOCOL else None

"""Actors on as many machines as a LAN has, over ZeroMQ, with no broker to run.

The public names. The package below them, from the ground up; an import points only downward:

    errors, settings, address, members, message, codec, ledger    words, facts and bytes
    rules/                                        decisions without I/O
    loop, deadlines, stepping, port, transport, inlet    the loop, its time and its sockets
    reply, ref, place, marks, actor, supervisor   what users extend, and what others hold of it
    stacks, watchdog, waits                       finds what holds the loop, and who waits for whom
    mailbox, turns, cell, family, registry        what runs an actor, and its children
    cluster/                                      who is there, and messages between nodes
    patterns/                                     the sockets that actors own
    devices/                                      what forwards between two sockets
    elsewhere/                                    actors in a thread or process of their own
    farm/                                         work for the whole mesh, and its store
    machine, steward, assembly, life, node, run   a node, put together
    hired, executor                               a node behind `concurrent.futures.Executor`
    observe/, cli/, testing/                      what people see, and test with
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from actormq.errors import (
    ActormqError,
    ActorNotFound,
    ActorStopped,
    ArgumentMismatch,
    AskCircle,
    AskTimeout,
    DeliveryError,
    FarmClosed,
    HandlerCancelled,
    HandlerNotFound,
    IncompatibleSockets,
    InternalError,
    LifecycleError,
    LinkFull,
    LocalProtocolError,
    MailboxFull,
    MeshNotFound,
    MessageTooLarge,
    NameTaken,
    NobodyThere,
    NodeNotRunning,
    NodeUnreachable,
    NotEncodable,
    OutcomeUnknown,
    PeerGone,
    PeerLost,
    PortInUse,
    ProcessLost,
    ProtocolError,
    RemoteError,
    RemoteProtocolError,
    RequestTimeout,
    RestartLimitReached,
    ResultRefused,
    SecurityError,
    SetupError,
    SocketFull,
    StartFailed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreInUse,
    StoreMismatch,
    TaskFailed,
    TaskLost,
    TaskTimeout,
)
from actormq.run import run

if TYPE_CHECKING:
    from actormq.actor import Actor
    from actormq.devices.device import DeviceStatistics, Forwarder, Queue, Streamer
    from actormq.events import DeadLetter
    from actormq.executor import Executor
    from actormq.farm.farm import Farm
    from actormq.farm.reports import Progress
    from actormq.farm.results import TaskResult
    from actormq.ledger import Ledger
    from actormq.marks import every, handler
    from actormq.members import MemberInfo
    from actormq.node import Node
    from actormq.patterns.dealer import Dealer
    from actormq.patterns.envelope import Peer
    from actormq.patterns.pair import Pair
    from actormq.patterns.publisher import Publisher
    from actormq.patterns.puller import Puller
    from actormq.patterns.pusher import Pusher
    from actormq.patterns.replier import Replier
    from actormq.patterns.requester import Requester
    from actormq.patterns.router import Router
    from actormq.patterns.subscriber import Subscriber
    from actormq.ref import Ref
    from actormq.reply import Reply
    from actormq.rules.backoff import Backoff
    from actormq.signals import Failure, Terminated
    from actormq.supervisor import Child, Supervisor, child

__all__ = [
    "Actor",
    "ActorNotFound",
    "ActorStopped",
    "ActormqError",
    "ArgumentMismatch",
    "AskCircle",
    "AskTimeout",
    "Backoff",
    "Child",
    "DeadLetter",
    "Dealer",
    "DeliveryError",
    "DeviceStatistics",
    "Executor",
    "Failure",
    "Farm",
    "FarmClosed",
    "Forwarder",
    "HandlerCancelled",
    "HandlerNotFound",
    "IncompatibleSockets",
    "InternalError",
    "Ledger",
    "LifecycleError",
    "LinkFull",
    "LocalProtocolError",
    "MailboxFull",
    "MemberInfo",
    "MeshNotFound",
    "MessageTooLarge",
    "NameTaken",
    "NobodyThere",
    "Node",
    "NodeNotRunning",
    "NodeUnreachable",
    "NotEncodable",
    "OutcomeUnknown",
    "Pair",
    "Peer",
    "PeerGone",
    "PeerLost",
    "PortInUse",
    "ProcessLost",
    "Progress",
    "ProtocolError",
    "Publisher",
    "Puller",
    "Pusher",
    "Queue",
    "Ref",
    "RemoteError",
    "RemoteProtocolError",
    "Replier",
    "Reply",
    "RequestTimeout",
    "Requester",
    "RestartLimitReached",
    "ResultRefused",
    "Router",
    "SecurityError",
    "SetupError",
    "SocketFull",
    "StartFailed",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreInUse",
    "StoreMismatch",
    "Streamer",
    "Subscriber",
    "Supervisor",
    "TaskFailed",
    "TaskLost",
    "TaskResult",
    "TaskTimeout",
    "Terminated",
    "child",
    "every",
    "handler",
    "run",
]


_HOMES = {
    "Actor": "actor",
    "Backoff": "rules.backoff",
    "Child": "supervisor",
    "DeadLetter": "events",
    "Dealer": "patterns.dealer",
    "DeviceStatistics": "devices.device",
    "Executor": "executor",
    "Failure": "signals",
    "Farm": "farm.farm",
    "Forwarder": "devices.device",
    "Ledger": "ledger",
    "MemberInfo": "members",
    "Node": "node",
    "Pair": "patterns.pair",
    "Peer": "patterns.envelope",
    "Progress": "farm.reports",
    "Publisher": "patterns.publisher",
    "Puller": "patterns.puller",
    "Pusher": "patterns.pusher",
    "Queue": "devices.device",
    "Ref": "ref",
    "Replier": "patterns.replier",
    "Reply": "reply",
    "Requester": "patterns.requester",
    "Router": "patterns.router",
    "Streamer": "devices.device",
    "Subscriber": "patterns.subscriber",
    "Supervisor": "supervisor",
    "TaskResult": "farm.results",
    "Terminated": "signals",
    "child": "supervisor",
    "every": "marks",
    "handler": "marks",
}
"""Where the names live that are imported once somebody wants them.

All together take nearly as long again as ZeroMQ and the loop, and no program uses all: one that
defines actors for others needs no node, a slot of a farm no actors. `run` cannot wait, for the
module of that name would take its place: `run.py` is small instead.
"""


def _wanted(name: str) -> Any:
    """Import what the package is asked for: a public name, or one of its modules."""
    if name in _HOMES:
        value = getattr(import_module(f"actormq.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_"):
        try:
            return import_module(f"actormq.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"actormq.{name}":
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # a type checker would take any name for known
    __getattr__ = _wanted

"""Actors on as many machines as a LAN has, over ZeroMQ, with no broker to run.

The public names. The package below them, from the ground up; an import points only downward:

    errors, settings, address, members, message, codec, ledger    words, facts and bytes
    rules/                                        decisions without I/O
    loop, deadlines, stepping, port, transport, inlet    the loop, its time and its sockets
    reply, ref, place, actor, supervisor, signals    what users extend, and what others hold of it
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

from typing import TYPE_CHECKING, Any

from actormq.actor import Actor, every, handler
from actormq.devices.device import DeviceStatistics, Forwarder, Queue, Streamer
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
from actormq.events import DeadLetter
from actormq.ledger import Ledger
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
from actormq.run import run
from actormq.signals import Failure, Terminated
from actormq.supervisor import Child, Supervisor, child

if TYPE_CHECKING:
    from actormq.executor import Executor

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
    "TaskTimeout",
    "Terminated",
    "child",
    "every",
    "handler",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import what stands on the whole package, once somebody wants it."""
    if name != "Executor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from actormq.executor import Executor  # noqa: PLC0415 it takes a tenth of a second

    globals()[name] = Executor
    return Executor

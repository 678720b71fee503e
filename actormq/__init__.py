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

from importlib import import_module
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
    from actormq.farm.farm import Farm
    from actormq.farm.reports import Progress
    from actormq.farm.results import TaskResult

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


_LATER = {
    "Executor": "executor",
    "Farm": "farm.farm",
    "Progress": "farm.reports",
    "TaskResult": "farm.results",
}
"""Names that are imported once somebody wants them: together they take a tenth of a second."""


def __getattr__(name: str) -> Any:
    """Import a name that most programs do not need."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"actormq.{_LATER[name]}"), name)
    globals()[name] = value
    return value

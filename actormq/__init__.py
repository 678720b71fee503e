"""Actors on as many machines as a LAN has, over ZeroMQ, with no broker to run.

The public names. The package below them, from the ground up; an import points only downward:

    errors, settings, address, message, codec     words, facts and bytes
    rules/                                        decisions without I/O
    loop, deadlines, stepping, transport, mailbox the loop, its time and its sockets
    reply, ref, actor, turns, cell, registry      actors and what others hold of them
    cluster/                                      who is there, and messages between nodes
    patterns/                                     the sockets that actors own
    steward, node, run, topology                  a node, put together
    observe/, cli/                                what people see
"""

from actormq.actor import Actor, every, handler
from actormq.errors import (
    ActormqError,
    ActorNotFound,
    ActorStopped,
    ArgumentMismatch,
    AskTimeout,
    DeliveryError,
    HandlerCancelled,
    HandlerNotFound,
    InternalError,
    LifecycleError,
    LinkFull,
    LocalProtocolError,
    MailboxFull,
    MeshNotFound,
    MessageTooLarge,
    NameTaken,
    NodeNotRunning,
    NodeUnreachable,
    NotEncodable,
    OutcomeUnknown,
    PeerLost,
    PortInUse,
    ProtocolError,
    RemoteError,
    RemoteProtocolError,
    SecurityError,
    SetupError,
    StartFailed,
)
from actormq.node import Node
from actormq.patterns.publisher import Publisher
from actormq.patterns.subscriber import Subscriber
from actormq.ref import Ref
from actormq.reply import Reply
from actormq.run import run

__all__ = [
    "Actor",
    "ActorNotFound",
    "ActorStopped",
    "ActormqError",
    "ArgumentMismatch",
    "AskTimeout",
    "DeliveryError",
    "HandlerCancelled",
    "HandlerNotFound",
    "InternalError",
    "LifecycleError",
    "LinkFull",
    "LocalProtocolError",
    "MailboxFull",
    "MeshNotFound",
    "MessageTooLarge",
    "NameTaken",
    "Node",
    "NodeNotRunning",
    "NodeUnreachable",
    "NotEncodable",
    "OutcomeUnknown",
    "PeerLost",
    "PortInUse",
    "ProtocolError",
    "Publisher",
    "Ref",
    "RemoteError",
    "RemoteProtocolError",
    "Reply",
    "SecurityError",
    "SetupError",
    "StartFailed",
    "Subscriber",
    "every",
    "handler",
    "run",
]

"""One tree of failures, each carrying its facts.

The branches answer the catcher's question: *did it run, and may I send again?*

    ActormqError
        SetupError (ValueError)          asked for something impossible: mend the call
            NameTaken   PortInUse   IncompatibleSockets
        LifecycleError (RuntimeError)    right call, wrong moment
            NodeNotRunning   StartFailed   FarmClosed
        DeliveryError                    no handler saw it: sending again is safe
            ActorNotFound   ActorStopped   MailboxFull   LinkFull   NodeUnreachable
            MeshNotFound   HandlerNotFound   ArgumentMismatch   MessageTooLarge   NotEncodable
            SocketFull   PeerGone   NobodyThere   AskCircle
        OutcomeUnknown                   it left and no word came: it may have run
            AskTimeout (TimeoutError)   RequestTimeout (TimeoutError)   PeerLost   HandlerCancelled
            ProcessLost
        RemoteError                      it ran and raised: carries type, text, traceback
        TaskFailed                       likewise a task of a farm
            TaskTimeout (TimeoutError)   TaskLost
        ResultRefused                    a task of a farm ran, and its result cannot travel
        RestartLimitReached              a supervisor gave up
        ProtocolError
            LocalProtocolError           we would have broken the wire format
            RemoteProtocolError          a peer did
        SecurityError                    not let in
        StoreError                       the file of a durable batch: nothing was lost silently
            StoreInUse   StoreMismatch   StoreFull   StoreDamaged
        InternalError                    our bug: please report

An error is built from facts, plain values, and writes its own sentence.
That is why it can travel: a name from `TRAVELLING` and its `facts` rebuild it at the asker's side.

| Module | Holds |
| --- | --- |
| root | what all have |
| call | the call is wrong, or comes at the wrong moment |
| delivery | no handler saw it |
| outcome | nobody knows whether it ran |
| raised | it ran, and raised |
| store | a durable batch |
| wire | bytes and peers that do not belong here, and our bugs |
| travel | which may answer an ask from another node, and how they are made again |
"""

from __future__ import annotations

from actormq.errors.call import (
    FarmClosed,
    IncompatibleSockets,
    LifecycleError,
    NameTaken,
    NodeNotRunning,
    PortInUse,
    SetupError,
    StartFailed,
)
from actormq.errors.delivery import (
    ActorNotFound,
    ActorStopped,
    ArgumentMismatch,
    AskCircle,
    DeliveryError,
    HandlerNotFound,
    LinkFull,
    MailboxFull,
    MeshNotFound,
    MessageTooLarge,
    NobodyThere,
    NodeUnreachable,
    NotEncodable,
    PeerGone,
    SocketFull,
)
from actormq.errors.outcome import (
    AskTimeout,
    HandlerCancelled,
    OutcomeUnknown,
    PeerLost,
    ProcessLost,
    RequestTimeout,
)
from actormq.errors.raised import (
    RemoteError,
    RestartLimitReached,
    ResultRefused,
    TaskFailed,
    TaskLost,
    TaskTimeout,
)
from actormq.errors.root import ActormqError, one_line
from actormq.errors.store import StoreDamaged, StoreError, StoreFull, StoreInUse, StoreMismatch
from actormq.errors.travel import TRAVELLING, rebuilt
from actormq.errors.wire import (
    InternalError,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    SecurityError,
)

__all__ = [
    "TRAVELLING",
    "ActorNotFound",
    "ActorStopped",
    "ActormqError",
    "ArgumentMismatch",
    "AskCircle",
    "AskTimeout",
    "DeliveryError",
    "FarmClosed",
    "HandlerCancelled",
    "HandlerNotFound",
    "IncompatibleSockets",
    "InternalError",
    "LifecycleError",
    "LinkFull",
    "LocalProtocolError",
    "MailboxFull",
    "MeshNotFound",
    "MessageTooLarge",
    "NameTaken",
    "NobodyThere",
    "NodeNotRunning",
    "NodeUnreachable",
    "NotEncodable",
    "OutcomeUnknown",
    "PeerGone",
    "PeerLost",
    "PortInUse",
    "ProcessLost",
    "ProtocolError",
    "RemoteError",
    "RemoteProtocolError",
    "RequestTimeout",
    "RestartLimitReached",
    "ResultRefused",
    "SecurityError",
    "SetupError",
    "SocketFull",
    "StartFailed",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreInUse",
    "StoreMismatch",
    "TaskFailed",
    "TaskLost",
    "TaskTimeout",
    "one_line",
    "rebuilt",
]

for _error in list(vars().values()):
    if isinstance(_error, type):
        _error.__module__ = __name__  # where users find it, and what they read in a traceback

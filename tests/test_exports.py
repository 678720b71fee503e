"""The public names: whoever takes one away or adds one says so here as well."""

import actormq
from actormq import errors

NAMES = {
    *("Actor", "Node", "Publisher", "Ref", "Reply", "Subscriber", "every", "handler", "run"),
    *("Supervisor", "child", "Child", "Backoff", "Failure", "Terminated", "DeadLetter", "Ledger"),
    *("MemberInfo", "Executor"),
    "ActormqError",
    *("SetupError", "NameTaken", "PortInUse"),
    *("LifecycleError", "NodeNotRunning", "StartFailed"),
    *("DeliveryError", "ActorNotFound", "ActorStopped", "MailboxFull", "LinkFull"),
    *("NodeUnreachable", "MeshNotFound", "HandlerNotFound", "ArgumentMismatch"),
    *("MessageTooLarge", "NotEncodable"),
    *("OutcomeUnknown", "AskTimeout", "RequestTimeout", "PeerLost", "HandlerCancelled"),
    *("IncompatibleSockets", "SocketFull", "PeerGone", "NobodyThere", "AskCircle"),
    "ProcessLost",
    *("Requester", "Replier", "Pusher", "Puller", "Dealer", "Router", "Pair", "Peer"),
    *("Queue", "Forwarder", "Streamer", "DeviceStatistics"),
    *("RemoteError", "RestartLimitReached"),
    *("ProtocolError", "LocalProtocolError", "RemoteProtocolError"),
    "SecurityError",
    *("TaskFailed", "TaskTimeout", "TaskLost", "ResultRefused", "FarmClosed"),
    *("Farm", "Progress", "TaskResult"),
    *("StoreError", "StoreInUse", "StoreMismatch", "StoreFull", "StoreDamaged"),
    "InternalError",
}


def test_the_public_names_are_these():
    assert set(actormq.__all__) == NAMES
    assert list(actormq.__all__) == sorted(actormq.__all__)
    assert all(hasattr(actormq, name) for name in NAMES)


def test_every_error_is_public_and_of_one_tree():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    own = [kind for kind in kinds if kind.__module__ == errors.__name__]
    assert {kind.__name__ for kind in own} <= NAMES
    assert all(issubclass(kind, errors.ActormqError) for kind in own)


def test_every_public_thing_says_what_it_is():
    assert [name for name in NAMES if not getattr(actormq, name).__doc__] == []

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq import errors
from actormq.codec import Codec
from actormq.errors import (
    TRAVELLING,
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
    rebuilt,
)

EXAMPLES = [
    ActorNotFound("collector", "home", 5.0),
    ActorNotFound("collector", "home"),
    ActorStopped("greeter"),
    ArgumentMismatch("greeter", "greet", "who", "str", "3 (Expected `str`, got `int`)"),
    AskCircle("a.f -> b.g -> a.h (behind a.f)"),
    AskTimeout("greeter", "greet", 0.5),
    HandlerCancelled("greeter", "greet"),
    HandlerNotFound("greeter", "gret", unmarked=False, known=["greet", "bow"]),
    HandlerNotFound("greeter", "helper", unmarked=True, known=[]),
    MailboxFull("greeter", 10_000),
    MessageTooLarge("greeter", 5_000_000, 4_194_304),
    MessageTooLarge("farm thumbnail", 70_000_000, 67_108_864, "put it into a file"),
    NameTaken("greeter", "roof"),
    NodeNotRunning("roof"),
    NodeUnreachable("roof"),
    NotEncodable("greeter", "a complex has no form"),
    PeerLost("roof", "silent for 6.1 s"),
    ProcessLost("greeter", "was killed by SIGSEGV", "greet"),
    ProcessLost("greeter", "was killed, for it held its loop for more than 1 s", "", "let it go"),
    RemoteError("greeter", "greet", "ValueError", "no such person", "Traceback …\nValueError"),
    RemoteError("greeter", "greet", "KeyError", ""),
    StartFailed("greeter", "on_start", "OSError", "no sensor"),
]

TREE = {
    SetupError: ActormqError,
    NameTaken: SetupError,
    PortInUse: SetupError,
    IncompatibleSockets: SetupError,
    LifecycleError: ActormqError,
    NodeNotRunning: LifecycleError,
    StartFailed: LifecycleError,
    FarmClosed: LifecycleError,
    DeliveryError: ActormqError,
    ActorNotFound: DeliveryError,
    ActorStopped: DeliveryError,
    MailboxFull: DeliveryError,
    LinkFull: DeliveryError,
    NodeUnreachable: DeliveryError,
    MeshNotFound: DeliveryError,
    HandlerNotFound: DeliveryError,
    ArgumentMismatch: DeliveryError,
    MessageTooLarge: DeliveryError,
    NotEncodable: DeliveryError,
    SocketFull: DeliveryError,
    PeerGone: DeliveryError,
    NobodyThere: DeliveryError,
    AskCircle: DeliveryError,
    OutcomeUnknown: ActormqError,
    AskTimeout: OutcomeUnknown,
    RequestTimeout: OutcomeUnknown,
    PeerLost: OutcomeUnknown,
    ProcessLost: OutcomeUnknown,
    HandlerCancelled: OutcomeUnknown,
    RemoteError: ActormqError,
    TaskFailed: ActormqError,
    TaskTimeout: TaskFailed,
    TaskLost: TaskFailed,
    ResultRefused: ActormqError,
    RestartLimitReached: ActormqError,
    ProtocolError: ActormqError,
    LocalProtocolError: ProtocolError,
    RemoteProtocolError: ProtocolError,
    SecurityError: ActormqError,
    StoreError: ActormqError,
    StoreInUse: StoreError,
    StoreMismatch: StoreError,
    StoreFull: StoreError,
    StoreDamaged: StoreError,
    InternalError: ActormqError,
}

BUILTIN = [
    (SetupError, ValueError),
    (LifecycleError, RuntimeError),
    (AskTimeout, TimeoutError),
    (RequestTimeout, TimeoutError),
    (TaskTimeout, TimeoutError),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_an_error_that_travels_is_rebuilt_with_the_same_sentence(error):
    codec = Codec(1 << 20, 1 << 20)
    packed, _ = codec.pack("asker", [6, 1, type(error).__name__, list(error.facts)])

    [[_, _, name, facts]] = codec.unpack([packed])
    again = rebuilt(name, facts)

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert list(again.facts) == list(error.facts)


def test_each_travelling_error_stands_in_the_examples_above():
    assert {type(error).__name__ for error in EXAMPLES} == set(TRAVELLING)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_a_sentence_is_one_line_that_names_what_it_is_about(error):
    sentence = str(error)

    assert "\n" not in sentence
    assert str(error.facts[0]) in sentence


@pytest.mark.parametrize(("child", "parent"), TREE.items(), ids=lambda kind: kind.__name__)
def test_the_tree_is_the_one_drawn_at_the_head_of_the_file(child, parent):
    assert child.__bases__[0] is parent
    assert child.__name__ in errors.__doc__


@pytest.mark.parametrize(("kind", "builtin"), BUILTIN)
def test_who_catches_the_builtin_catches_ours(kind, builtin):
    assert issubclass(kind, builtin)


def test_no_error_of_the_file_is_missing_from_the_tree():
    found = {kind for _, kind in inspect.getmembers(errors, inspect.isclass)}
    found = {kind for kind in found if issubclass(kind, ActormqError)}

    assert found == {*TREE, ActormqError}


def test_an_unknown_error_of_a_peer_becomes_a_remote_error_of_that_type():
    error = rebuilt("OutOfPaper", ["rack", 3])

    assert isinstance(error, RemoteError)
    assert error.type == "OutOfPaper"
    assert "rack, 3" in str(error)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("ActorStopped", []),
        ("ActorStopped", ["a", "b"]),
        ("AskTimeout", ["greeter", "greet", "soon"]),
        ("ActorNotFound", ["a", "home", "long"]),
        ("HandlerNotFound", ["a", "h", False, 7]),
        ("HandlerNotFound", ["a", "h", False, [1, "x"]]),
    ],
)
def test_facts_that_do_not_fit_are_the_peers_fault(name, facts):
    with pytest.raises(RemoteProtocolError, match="unfit facts"):
        rebuilt(name, facts)


wire_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(name=st.sampled_from([*TRAVELLING, "Unheard"]), facts=st.lists(wire_values, max_size=6))
def test_whatever_a_peer_says_failed_gives_an_error_or_a_protocol_error(name, facts):
    try:
        error = rebuilt(name, facts)
    except RemoteProtocolError:
        return
    assert isinstance(error, ActormqError)


def test_an_error_without_facts_carries_its_sentence():
    assert SecurityError("not let in").facts == ("not let in",)

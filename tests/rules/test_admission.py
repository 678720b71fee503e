import msgspec
import pytest

from actormq import message
from actormq.message import Facts
from actormq.rules.admission import reachable, refusal

OWN = Facts(
    mesh="home",
    node="0" * 16,
    incarnation=1,
    name="roof",
    scope="loopback:1000",
    endpoints=("tcp://127.0.0.1:49152",),
    host="bench",
)
PEER = msgspec.structs.replace(OWN, node="1" * 16, name="cellar")
GUEST = msgspec.structs.replace(PEER, endpoints=())


def changed(facts=PEER, **changes):
    return msgspec.structs.replace(facts, **changes)


@pytest.mark.parametrize(
    ("version", "peer", "dead"),
    [
        (1, PEER, {}),
        (1, GUEST, {}),
        (1, changed(GUEST, mesh=""), {}),
        (1, PEER, {"2" * 16: 5}),
        (1, changed(incarnation=3), {"1" * 16: 2}),
        (1, changed(host="elsewhere"), {}),
    ],
    ids=["node", "guest", "guest of any mesh", "others dead", "came back", "other host"],
)
def test_who_belongs_is_let_in(version, peer, dead):
    assert refusal(OWN, version, peer, dead) is None


@pytest.mark.parametrize(
    ("version", "peer", "dead", "reason", "says"),
    [
        (2, None, {}, message.REASON_VERSION, "you speak 2"),
        (0, None, {}, message.REASON_VERSION, "same version of actormq"),
        (1, changed(mesh="lab"), {}, message.REASON_MESH, "--mesh home"),
        (1, changed(mesh=""), {}, message.REASON_MESH, "not to ''"),
        (1, changed(GUEST, mesh="lab"), {}, message.REASON_MESH, "'lab'"),
        (1, changed(scope="loopback:1001"), {}, message.REASON_SCOPE, "another user"),
        (1, changed(scope="lan"), {}, message.REASON_SCOPE, "loopback only"),
        (1, changed(scope="nonsense"), {}, message.REASON_SCOPE, "loopback"),
        (1, PEER, {"1" * 16: 1}, message.REASON_STALE, "come back as 2"),
        (1, PEER, {"1" * 16: 7}, message.REASON_STALE, "come back as 8"),
        (1, GUEST, {"1" * 16: 1}, message.REASON_STALE, "come back as 2"),
        # the first reason counts: a stranger learns no more than it must
        (2, None, {"1" * 16: 7}, message.REASON_VERSION, "version"),
        (1, changed(mesh="lab", scope="lan"), {}, message.REASON_MESH, "mesh"),
    ],
)
def test_who_does_not_is_told_why(version, peer, dead, reason, says):
    refused = refusal(OWN, version, peer, dead)

    assert refused is not None
    assert refused[0] == reason
    assert says in refused[1]
    assert "'roof'" in refused[1]


def test_a_node_of_the_lan_tells_one_of_the_loopback_what_to_do():
    own = changed(OWN, scope="lan")

    refused = refusal(own, 1, PEER, {})

    assert refused is not None
    assert "--insecure-lan" in refused[1]


@pytest.mark.parametrize(
    ("own", "peer", "expected"),
    [
        ("lan", "lan", True),
        ("loopback:1000", "loopback:1000", True),
        ("loopback:1000", "loopback:1001", False),
        ("lan", "loopback:1000", False),
        ("loopback:1000", "lan", False),
    ],
)
def test_scopes_that_can_share_a_mesh(own, peer, expected):
    assert reachable(own, peer) is expected

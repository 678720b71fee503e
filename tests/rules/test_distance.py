"""What facts about another machine come to, and that each problem says its cause and a way out."""

import pytest

from actormq.rules import distance
from actormq.rules.diagnosis import State, Verdict
from actormq.rules.distance import Ground
from actormq.rules.findings import Dialled, Echo, Hello, Intent, Meeting, Outcome

LAN = Intent(None, lan=True, joins=False, scope="lan", protocol=1)
JOINS = Intent(None, lan=True, joins=True, scope="lan", protocol=1)
ROOF = Hello("roof", "ab" * 8, "home", "lan")


def dialled(outcome="open", address="10.77.0.2", *, is_near=True, is_there=None):
    return Dialled(
        address,
        4711,
        Outcome(outcome),
        source="10.77.0.1",
        network="10.77.0.0/24",
        interface="eth0",
        is_near=is_near,
        is_there=is_there,
        mtu=1_500,
    )


def met(how, by_itself=None, **rest):
    """A meeting: "there" and "back" where one reached the other, "heard" where it announced."""
    ways = {word: word in how.split() for word in ("there", "back", "heard")}
    return Meeting(by_itself, **ways, **rest)


def told(*verdicts):
    """What verdicts say, once it is made sure that problems say why and what to do."""
    for verdict in verdicts:
        rest = (verdict.cause, verdict.fix)
        assert all(rest) if verdict.state is not State.OK else rest == ("", "")
    return [f"{v.state}: {v.found} / {v.cause} / {v.fix}" for v in verdicts]


@pytest.mark.parametrize(
    ("host", "addresses", "words"),
    [
        ("roof", ["10.77.0.2", "fd77::2"], ["ok:", "10.77.0.2, fd77::2"]),
        ("roof", [], ["problem:", "not known", "use its address"]),
        ("roof.local", [], ["problem:", "libnss-mdns"]),
    ],
)
def test_a_name(host, addresses, words):
    error = "" if addresses else "not known"
    (text,) = told(distance.name(host, addresses, error))
    assert [word for word in words if word not in text] == []


def test_another_machine_is_out_of_reach_of_nodes_on_loopback():
    (text,) = told(distance.openness("roof"))
    assert text.startswith("problem:")
    assert "`actormq doctor --insecure-lan roof`" in text


@pytest.mark.parametrize(
    ("tried", "ground", "words"),
    [
        (dialled(), "said", ["ok:", "10.77.0.2:4711", "eth0 (10.77.0.1)"]),
        (dialled("refused"), "said", ["no node listens", "--port 4711"]),
        (
            dialled("refused"),
            "guessed",
            ["which the first node of a machine takes", "`actormq doctor roof:PORT`"],
        ),
        (dialled("refused"), "heard", ["a firewall on roof refuses", "10.77.0.0/24"]),
        (dialled("silent", is_there=True), "said", ["though roof is there", "firewall on roof"]),
        (dialled("silent", is_there=False), "said", ["switched off, or a firewall"]),
        (dialled("silent"), "said", ["switched off, or a firewall"]),
        (dialled("silent", is_near=False), "said", ["on roof or on the way to it"]),
        (
            dialled("unreachable", is_there=False),
            "said",
            ["no machine of the network 10.77.0.0/24"],
        ),
        (dialled("unreachable", is_there=True), "said", ["a router on the way, or a firewall"]),
        (dialled("unreachable", is_near=False), "said", ["a router on the way, or a firewall"]),
        (dialled("no route"), "said", ["no IPv4 address", "ip route get 10.77.0.2"]),
        (dialled("no route", "fd77::2"), "said", ["no IPv6 address"]),
        (dialled("forbidden"), "said", ["forbids connections outward"]),
    ],
)
def test_the_way_there(tried, ground, words):
    (text,) = told(*distance.way("roof", [tried], Ground(ground)))
    assert text.startswith("ok:" if tried.outcome is Outcome.OPEN else "problem:")
    assert [word for word in words if word not in text] == []


def test_one_address_that_listens_is_enough():
    tried = [dialled("refused", "fd77::2"), dialled()]
    assert told(*distance.way("roof", tried, Ground.SAID)) == [
        "ok: 10.77.0.2:4711 takes connections, by eth0 (10.77.0.1) /  / "
    ]


def test_all_addresses_that_are_deaf_are_told():
    tried = [dialled("refused", "fd77::2"), dialled("silent")]
    assert len(told(*distance.way("roof", tried, Ground.SAID))) == len(tried)
    assert dialled(address="fd77::2").place == "[fd77::2]:4711"


@pytest.mark.parametrize(
    ("found", "mesh", "announced", "words"),
    [
        (ROOF, None, "", ["ok:", "roof of mesh home", "nodes here need --mesh home"]),
        (ROOF, "home", "", ["ok:"]),
        (ROOF, "attic", "", ["problem:", "'home', nodes here are in 'attic'", "--mesh home"]),
        (Hello(), None, "", ["problem:", "another program"]),
        (Hello(), None, "roof", ["problem:", "roof listens", "it hangs"]),
        (
            Hello(refused="you speak 1, we 2: run the same"),
            None,
            "",
            ["problem:", "/ you speak 1, we 2 / run the same"],
        ),
        (Hello(refused="go away"), None, "", ["problem:", "/ go away / mend"]),
    ],
)
def test_who_answers(found, mesh, announced, words):
    (text,) = told(distance.hello("roof", found, mesh, "10.77.0.2:4711", announced))
    assert [word for word in words if word not in text] == []


def test_the_mesh_that_all_nodes_have_by_default_need_not_be_said():
    found = Hello("roof", "ab" * 8, "default", "lan")
    assert "--mesh" not in distance.hello("roof", found, None, "10.77.0.2:4711", "").found


@pytest.mark.parametrize(
    ("found", "intent", "near", "words"),
    [
        (met("there back heard", 0.2), LAN, True, ["ok:", "ok:", "0.20 s"]),
        (met("heard", None), LAN, True, ["problem:", "did not get into"]),
        (
            met("there heard", None, port=4712),
            LAN,
            True,
            ["problem:", "port 4712 of this machine", "ufw allow from 10.77.0.0/24", "--port PORT"],
        ),
        (met("there back", None), JOINS, True, ["ok:", "not needed"]),
        (
            met("there back", None),
            LAN,
            True,
            ["problem:", "does not get through", "--join 10.77.0.2:4711"],
        ),
        (met("there back", None), LAN, False, ["problem:", "ends at routers"]),
        (met("there back heard", None), LAN, True, ["warning:", "announcements are late"]),
        (met("", None, error="no sockets"), LAN, True, ["problem:", "no so"]),
    ],
)
def test_how_nodes_meet(found, intent, near, words):
    way = dialled(is_near=near)
    text = "\n".join(told(*distance.meeting("roof", found, way, intent, "ufw")))
    assert [word for word in words if word not in text] == []
    assert ("problem:" in text) is ("problem:" in words)


OTHER = {
    "found": Verdict("multicast", State.OK, "x"),
    "not found": Verdict("multicast", State.PROBLEM, "x", "y", "z"),
    "no way": Verdict("way", State.PROBLEM, "x", "y", "z"),
}


@pytest.mark.parametrize(
    ("check", "others", "state"),
    [
        ("multicast eth0", ["found"], "warning"),
        ("multicast eth0", ["found", "found"], "warning"),
        ("multicast eth0", ["found", "not found"], "problem"),
        ("multicast eth0", ["no way"], "problem"),
        ("multicast eth0", [], "problem"),
        ("interfaces", ["found"], "problem"),
    ],
)
def test_multicast_that_looks_wrong_here_is_judged_by_whether_others_find_us(check, others, state):
    here = Verdict(check, State.PROBLEM, "x", "y", "z")
    (verdict,) = distance.in_spite([here], [[OTHER[other]] for other in others])
    assert verdict.state == state


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            Echo(0.001, 0.3, 65_536, large=True),
            ["ok: 65536 bytes", "1500 bytes", "1.0 ms", "within 0.30 s"],
        ),
        (Echo(0.5, 0.0, 65_536, large=True), ["warning:", "a weak Wi-Fi"]),
        (Echo(None), ["problem:", "hangs"]),
        (
            Echo(0.001, 0.0, 65_536, large=False),
            ["problem:", "one of 65536 bytes did not", "mtu 1280"],
        ),
        (Echo(None, is_known=False), ["ok: not tried"]),
        (Echo(0.001, 7_200.0, 1, large=True), ["warning:", "2.0 hours ahead"]),
        (Echo(0.001, -3.0, 1, large=True), ["warning:", "3.0 s behind"]),
        (Echo(0.001, 1e6, 1, large=True), ["11.6 days ahead"]),
    ],
)
def test_what_comes_back(found, words):
    text = "\n".join(told(*distance.echo("roof", found, 1_500)))
    assert [word for word in words if word not in text] == []
    assert ("problem:" in text) is ("problem:" in words)

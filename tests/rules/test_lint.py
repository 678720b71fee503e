"""What is complained of in the sockets of topology files, and what is left alone."""

import itertools

import pytest

from actormq.rules.lint import Finding, findings
from actormq.rules.meeting import SocketPlan
from actormq.rules.pairing import SOCKET_TYPES, can_pair

PAIRS = list(itertools.product(SOCKET_TYPES, SOCKET_TYPES))
PLACE = "tcp://127.0.0.1:5557"
ANYWHERE = "tcp://*:5557"


def plan(kind, attribute, actor="", **facts):
    """A socket of an actor, by default one of its own class in home.toml."""
    actor = actor or f"{attribute}-owner"
    known = {"file": "home.toml", "mesh": "home", "is_local": True, "owner": f"gadgets:{actor}"}
    for word in ("bind", "connect"):
        if isinstance(facts.get(word), str):
            facts[word] = (facts[word],)
    return SocketPlan(**{**known, **facts}, actor=actor, attribute=attribute, kind=kind)


def binder(kind, attribute, service="s", **facts):
    return plan(kind, attribute, service=service, is_binder=True, **facts)


def connector(kind, attribute, service="s", **facts):
    return plan(kind, attribute, service=service, **facts)


def said(*plans):
    """What is found, as the command line prints it, without the file where it is home.toml."""
    return [str(found).removeprefix("home.toml: ") for found in findings(plans)]


# -- pairs outside the list -----------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_pair_passes_exactly_if_it_is_allowed(one, other):
    at_an_endpoint = said(plan(one, "a", bind=ANYWHERE), plan(other, "b", connect=PLACE))
    of_a_service = said(binder(one, "a"), connector(other, "b"))
    assert at_an_endpoint == of_a_service
    assert len(at_an_endpoint) == (0 if can_pair(one, other) else 1)


def test_a_mismatch_is_told_at_the_sender_in_the_words_of_the_error():
    sentence = 'PUSH "tasks" cannot feed SUB "readings"; PUSH goes with PULL'
    expected = [f"ventilator.tasks: {sentence}"]
    push, sub = ("PUSH", "tasks", "ventilator"), ("SUB", "readings", "average")
    assert said(plan(*push, bind=ANYWHERE), plan(*sub, connect=PLACE)) == expected
    assert said(plan(*sub, bind=ANYWHERE), plan(*push, connect=PLACE)) == expected
    tasks = plan(*push, service="tasks", is_binder=True)
    assert said(plan(*sub, service="tasks"), tasks) == expected
    assert findings([tasks, plan(*sub, service="tasks")]) == [
        Finding("home.toml", "ventilator", "tasks", sentence)
    ]


def test_what_is_met_twice_is_said_once():
    tasks = binder("PUSH", "tasks", bind=(ANYWHERE, "ipc://tasks"))
    assert len(said(tasks, connector("SUB", "readings", connect=(PLACE, "ipc://tasks")))) == 1


def test_types_are_called_as_users_know_them():
    (found,) = said(binder("XPUB", "feed"), connector("PULL", "work"))
    assert found == 'feed-owner.feed: PUB "feed" cannot feed PULL "work"; PUB goes with SUB'


@pytest.mark.parametrize(
    ("other", "own_name", "other_name"),
    [
        (("in", "b", "home.toml"), "out", "in"),
        (("out", "b", "home.toml"), "a.out", "b.out"),
        (("out", "a", "far.toml"), "home.toml: a.out", "far.toml: a.out"),
    ],
)
def test_a_socket_is_called_by_as_little_as_tells_it_from_others(other, own_name, other_name):
    attribute, actor, file = other
    sub = plan("SUB", attribute, actor, file=file, connect=PLACE)
    (found,) = said(plan("PUSH", "out", "a", bind=ANYWHERE), sub)
    assert found == (
        f'a.out: PUSH "{own_name}" cannot feed SUB "{other_name}"; PUSH goes with PULL'
    )


def test_a_mistake_of_a_class_is_told_once_a_file_and_one_of_an_endpoint_each_time():
    workers = [f"worker-{n}" for n in range(3)]
    of_class = {"owner": "gadgets:Worker"}
    tasks = binder("PUSH", "tasks", bind=ANYWHERE)
    subs = [plan("SUB", "work", name, **of_class, service="s") for name in workers]
    assert len(said(tasks, *subs)) == 1
    far = plan("SUB", "work", "worker-9", **of_class, service="s", file="far.toml")
    assert len(said(tasks, *subs, far)) == 2
    subs = [plan("SUB", "work", name, **of_class, connect=PLACE) for name in workers]
    assert len(said(tasks, *subs)) == 3


def test_services_of_other_names_and_other_meshes_do_not_meet():
    assert said(binder("PUSH", "tasks"), connector("SUB", "readings", "other")) == []
    assert said(binder("PUSH", "tasks"), connector("SUB", "readings", mesh="lab")) == []
    far = connector("SUB", "readings", file="far.toml", is_local=False)
    assert len(said(binder("PUSH", "tasks"), far)) == 1


def test_a_connector_meets_the_binder_of_its_own_file_first():
    tasks = plan("PUSH", "tasks", bind=ANYWHERE)
    feed = plan("PUB", "feed", file="far.toml", bind=ANYWHERE)
    readings = plan("SUB", "readings", file="far.toml", connect=PLACE)
    assert said(tasks, feed, readings) == []
    assert len(said(tasks, readings)) == 1


def test_one_that_binds_and_fits_is_enough_for_a_connector():
    far = {"file": "far.toml", "bind": ANYWHERE}
    readings = plan("SUB", "readings", connect=PLACE)
    assert said(plan("PUSH", "tasks", **far), plan("PUB", "feed", **far), readings) == [
        (
            f'far.toml: feed-owner.feed: PUB "feed" and PUSH "tasks" both bind {ANYWHERE}: '
            "give each a port of its own"
        )
    ]


# -- bind and bind --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "endpoint", "way"),
    [
        ("PUSH", "PULL", ANYWHERE, "let one of them connect"),
        ("PUB", "PUB", ANYWHERE, "give each a port of its own"),
        ("PUB", "PULL", "ipc://x", "give each an endpoint of its own"),
        ("ROUTER", "ROUTER", PLACE, "let one of them connect, or give each a port of its own"),
        ("PAIR", "PAIR", "inproc://x", "let one of them connect, or give each an endpoint of"),
    ],
)
def test_an_endpoint_is_bound_once(one, other, endpoint, way):
    (found,) = said(plan(one, "a", bind=endpoint), plan(other, "b", bind=endpoint))
    assert found.startswith(f'b-owner.b: {other} "b" and {one} "a" both bind {endpoint}: {way}')


def test_each_that_binds_what_the_first_has_bound_is_told():
    found = findings([plan("PUB", "feed", name, bind=ANYWHERE) for name in "abc"])
    assert [(f.actor, f.sentence) for f in found] == [
        (
            name,
            f'PUB "{name}.feed" and PUB "a.feed" both bind {ANYWHERE}: give each a port of its own',
        )
        for name in "bc"
    ]


def test_all_addresses_and_one_of_them_are_the_same_port():
    (found,) = said(plan("PUB", "a", bind=ANYWHERE), plan("PUB", "b", bind=PLACE))
    assert found.endswith(f"both bind {ANYWHERE}: give each a port of its own")


@pytest.mark.parametrize(
    ("facts", "endpoint", "is_told"),
    [
        ({"file": "far.toml"}, ANYWHERE, False),  # most likely another machine
        ({"file": "far.toml"}, PLACE, True),
        ({"file": "far.toml"}, "ipc://x", True),
        ({"file": "far.toml"}, "inproc://x", False),
        ({"file": "far.toml", "is_local": False}, PLACE, False),
        ({"file": "far.toml", "mesh": "lab"}, PLACE, False),
        ({"file": "far.toml", "is_local": False}, "tcp://192.168.1.20:5557", True),
        ({}, "tcp://*:*", False),
        ({}, "tcp://*:{port}", False),
        ({}, "epgm://10.0.0.1;239.192.1.1:5555", False),
    ],
)
def test_across_files_only_what_is_on_one_machine_clashes(facts, endpoint, is_told):
    one, other = plan("PUB", "a", bind=endpoint), plan("PUB", "b", bind=endpoint, **facts)
    assert bool(said(one, other)) is is_told


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ("PUSH", "PULL", 'PUSH "a" and PULL "b" both bind for service "s", so they never meet: '),
        ("XPUB", "SUB", 'PUB "a" and SUB "b" both bind for service "s", so they never meet: '),
        ("PUSH", "REP", 'PUSH "a" and REP "b" are both of service "s", and no socket goes with '),
    ],
)
def test_binders_of_a_service_need_a_partner_in_common(one, other, says):
    (found,) = said(binder(other, "b"), binder(one, "a"))
    assert found.startswith(f"a-owner.a: {says}")
    assert found.endswith("give one of them connect=True" if can_pair(one, other) else "its own")


@pytest.mark.parametrize(
    ("one", "other"), [("PUSH", "PUSH"), ("XPUB", "PUB"), ("REP", "ROUTER"), ("DEALER", "ROUTER")]
)
def test_binders_that_go_with_the_same_share_a_service(one, other):
    assert said(binder(one, "a"), binder(other, "b")) == []


def test_a_mismatch_is_not_told_again_as_two_binders():
    found = said(binder("PUB", "feed"), binder("REP", "door"), connector("SUB", "readings"))
    assert found == [
        'readings-owner.readings: SUB "readings" cannot talk to REP "door"; SUB goes with PUB'
    ]


# -- connect and connect --------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["tcp://vent:5557", PLACE, "ipc://x", "inproc://x"])
def test_two_that_connect_never_meet(endpoint):
    found = said(plan("PULL", "work", connect=endpoint), plan("PUSH", "tasks", connect=endpoint))
    assert found == [
        (
            f'tasks-owner.tasks: PUSH "tasks" and PULL "work" both connect to {endpoint}, '
            "so they never meet: let one of them bind it"
        )
    ]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_only_what_nobody_elsewhere_could_serve_is_told(one, other):
    """A binder outside the files may serve both ends, if there is a type that goes with both."""
    is_served = any(can_pair(one, third) and can_pair(other, third) for third in SOCKET_TYPES)
    is_served &= one != "PAIR"  # it goes with one other only
    found = said(plan(one, "a", connect="tcp://x:5557"), plan(other, "b", connect="tcp://x:5557"))
    assert bool(found) is not is_served
    if not is_served:
        meets = "so they never meet" if can_pair(one, other) else "nothing that binds it goes with"
        assert meets in found[0]


def test_many_that_connect_are_told_once_a_place():
    pushes = [plan("PUSH", "tasks", f"v{n}", connect=PLACE) for n in range(3)]
    pulls = [plan("PULL", "work", f"w{n}", connect=PLACE) for n in range(3)]
    assert len(said(*pushes, *pulls)) == 1


def test_who_connects_to_a_binder_in_the_files_is_not_lonely():
    vent = plan("PUSH", "tasks", bind=ANYWHERE)
    work = plan("PULL", "work", connect=PLACE)
    assert said(vent, work) == []
    assert said(vent, work, plan("PUSH", "more", connect=PLACE)) == [
        'more-owner.more: PUSH "more" cannot feed PUSH "tasks"; PUSH goes with PULL'
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (plan("PUSH", "a", connect="tcp://x:1"), plan("PULL", "b", connect="tcp://y:1")),
        (plan("PUSH", "a", connect="tcp://x:1"), plan("PULL", "b", connect="tcp://x:2")),
        (plan("PUSH", "a", connect="{place}"), plan("PULL", "b", connect="{place}")),
        (plan("PUSH", "a", connect=PLACE), plan("PULL", "b", connect=PLACE, file="f", mesh="lab")),
        (
            plan("PUSH", "a", connect="inproc://x"),
            plan("PULL", "b", connect="inproc://x", file="f"),
        ),
        (plan("PUB", "a", connect="epgm://i;g:1"), plan("SUB", "b", connect="epgm://i;g:1")),
    ],
)
def test_what_may_be_two_places_is_left_alone(one, other):
    assert said(one, other) == []


def test_connectors_of_a_service_without_a_binder_are_told():
    assert said(connector("PUSH", "tasks"), connector("PULL", "work")) == [
        (
            'tasks-owner.tasks: PUSH "tasks" and PULL "work" both connect for service "s", '
            "so they never meet: give one of them bind=True"
        )
    ]
    assert said(connector("PUSH", "tasks"), connector("SUB", "readings")) == [
        (
            'tasks-owner.tasks: PUSH "tasks" and SUB "readings" are both of service "s", '
            "and no socket goes with both: give each its own"
        )
    ]


def test_connectors_that_wait_for_a_binder_elsewhere_are_left_alone():
    assert said(connector("PULL", "work"), connector("PULL", "more")) == []
    assert said(connector("DEALER", "a"), connector("ROUTER", "b"), connector("REQ", "c")) == []


# -- one socket -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_so", [True, None, False])
def test_a_subscriber_needs_a_subscription(is_so):
    expected = (
        'readings-owner.readings: SUB "readings" has no subscription, so nothing comes in: '
        "call `await self.readings.subscribe(...)` in on_start"
    )
    found = said(connector("SUB", "readings", is_subscribed=is_so, is_answered=False))
    assert found == ([expected] if is_so is False else [])


@pytest.mark.parametrize("is_so", [True, None, False])
def test_a_router_answers(is_so):
    expected = (
        'door-owner.door: ROUTER "door" never answers those who write to it: reply with '
        "`self.door.send(...)`, or let PUSH and PULL do what goes one way"
    )
    found = said(binder("ROUTER", "door", is_answered=is_so, is_subscribed=False))
    assert found == ([expected] if is_so is False else [])


def test_what_a_class_lacks_is_told_once_a_file():
    facts = {"is_subscribed": False, "owner": "gadgets:Average"}
    plans = [plan("SUB", "readings", name, service="s", **facts) for name in "abc"]
    assert [found.actor for found in findings(plans)] == ["a"]


# -- codecs ---------------------------------------------------------------------------------------


def test_other_codecs_in_one_service_are_refused():
    assert said(binder("PUB", "feed"), connector("SUB", "readings", codec="text")) == [
        'feed-owner.feed: PUB "feed" has codec msgpack and SUB "readings" text: give both the same'
    ]
    assert said(binder("REP", "a", codec="raw"), connector("REQ", "b", codec="text")) == [
        'b-owner.b: REQ "b" has codec text and REP "a" raw: give both the same'
    ]
    (found,) = said(binder("PUB", "feed"), binder("PUB", "more", codec="raw"))
    assert found.endswith('PUB "feed" has codec msgpack and PUB "more" raw: give both the same')


@pytest.mark.parametrize(
    ("one", "other", "is_told"),
    [
        ("msgpack", "text", True),
        ("text", "msgpack", True),
        ("text", "text", False),
        ("raw", "text", False),  # its actor may write text
        ("raw", "msgpack", False),
        (None, "msgpack", False),
        ("text", None, False),
    ],
)
def test_at_an_endpoint_raw_goes_with_all(one, other, is_told):
    bound = plan("PUSH", "a", bind=ANYWHERE, codec=one)
    found = said(bound, plan("PULL", "b", connect=PLACE, codec=other))
    assert found == (
        [f'a-owner.a: PUSH "a" has codec {one} and PULL "b" {other}: give both the same']
        if is_told
        else []
    )


# -- pairs of three -------------------------------------------------------------------------------


def test_a_pair_of_a_service_has_two_ends_and_one_binds():
    one, other = connector("PAIR", "a"), connector("PAIR", "b")
    assert said(binder("PAIR", "a"), other) == []
    assert said(one) == []
    rest = 'for service "s", so they never meet: give one of them'
    assert said(one, other) == [f'a-owner.a: PAIR "a" and PAIR "b" both connect {rest} bind=True']
    assert said(binder("PAIR", "a"), binder("PAIR", "b")) == [
        f'a-owner.a: PAIR "a" and PAIR "b" both bind {rest} connect=True'
    ]
    assert said(binder("PAIR", "a"), other, connector("PAIR", "c")) == [
        (
            'c-owner.c: PAIR "c" and PAIR "a" are two of 3 of service "s", and a PAIR has one '
            "other end only: give each two a service of their own"
        )
    ]


def test_two_actors_of_one_class_may_be_a_pair_too_many():
    ends = [plan("PAIR", "line", name, owner="gadgets:End", service="s") for name in "ab"]
    assert len(said(*ends)) == 1
    assert len(said(binder("PAIR", "hub"), *ends)) == 1


def test_a_pair_at_an_endpoint_has_two_ends_and_one_binds():
    bound = plan("PAIR", "a", bind=ANYWHERE)
    b, c, d = (plan("PAIR", name, connect=PLACE) for name in "bcd")
    assert said(bound, b) == []
    assert said(bound, b, c, d) == [
        f'{name}-owner.{name}: PAIR "{name}" and PAIR "b" both connect to {PLACE}, and a PAIR has '
        "one other end only: give each an endpoint of its own"
        for name in "cd"
    ]
    assert said(b, c, d) == [
        (
            f'b-owner.b: PAIR "b" and PAIR "c" both connect to {PLACE}, so they never meet: '
            "let one of them bind it"
        )
    ]


# -- all together ---------------------------------------------------------------------------------


def test_the_deck_has_nothing_to_complain_of():
    client = {"file": "client.toml", "is_local": False}
    assert (
        said(
            plan("REP", "hello", bind="tcp://*:5555", codec="text"),
            plan("REQ", "asks", connect="tcp://localhost:5555", codec="text"),
            plan("XPUB", "weather", bind="tcp://*:5556", codec="text"),
            plan("PUSH", "tasks", bind="tcp://*:5557", codec="text"),
            plan("PULL", "sink", bind="tcp://*:5558", codec="raw"),
            plan("PULL", "work", connect="tcp://localhost:5557", codec="text"),
            plan("PUSH", "results", connect="tcp://localhost:5558", codec="raw"),
            plan("XSUB", "frontend", connect="tcp://localhost:5556", codec=None),
            plan("XPUB", "backend", bind="tcp://*:8100", codec=None),
            plan("ROUTER", "clients", bind="tcp://*:5559", codec=None),
            plan("DEALER", "services", bind="tcp://*:5560", codec=None),
            plan("REP", "far", connect="tcp://roof:5560", codec="text", **client),
            plan("SUB", "seen", connect="tcp://roof:8100", codec="text", **client),
        )
        == []
    )


def test_findings_come_in_the_order_of_the_sockets():
    plans = [
        plan("SUB", "lost", connect="tcp://x:1", is_subscribed=False),
        plan("PULL", "work", connect="tcp://x:2"),
        plan("PUSH", "tasks", connect="tcp://x:2"),
        plan("ROUTER", "door", bind="tcp://*:3", is_answered=False),
        plan("REP", "hello", bind="tcp://*:3"),
    ]
    for order in (plans, plans[::-1]):
        names = [f.attribute for f in findings(order)]
        known = [p.attribute for p in order]
        assert sorted(names, key=known.index) == names
        assert {"lost", "tasks", "door"} <= set(names)


def test_nothing_is_no_mistake():
    assert findings([]) == []


def test_thousands_of_sockets_do_not_hide_the_one_that_is_wrong():
    facts = {"owner": "gadgets:Average", "connect": PLACE}
    many = [connector("SUB", "readings", actor=f"a{n}", **facts) for n in range(1_000)]
    alone = [plan("PUB", "feed", f"b{n}", bind=f"tcp://*:{n + 6_000}") for n in range(1_000)]
    assert said(binder("XPUB", "hub", bind=ANYWHERE), *many, *alone) == []
    assert said(*many, *alone, plan("PULL", "work", bind="tcp://*:6500")) == [
        (
            'work-owner.work: PULL "work" and PUB "b500.feed" both bind tcp://*:6500: '
            "give each a port of its own"
        )
    ]

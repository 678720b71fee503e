"""What a topology file says of sockets, read from real classes that are never made or run."""

import itertools
import sys
import textwrap

import pytest

from actormq import Actor, Puller, Router, Subscriber
from actormq.blueprint import read, sockets
from actormq.devices.device import Forwarder
from actormq.topology import Plan, Topology, parse

IMPORTS = """
from actormq import (
    Actor, Dealer, Pair, Publisher, Puller, Pusher, Replier, Requester, Router, Subscriber, handler,
)
from actormq.devices.device import Device, Forwarder, Queue, Streamer
"""

numbers = itertools.count()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with room for modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    return tmp_path


@pytest.fixture
def plans(folder, monkeypatch):
    """Reads the sockets of one actor `it`, of the last class of a module."""

    def plans(source, args="", node=""):
        module = f"gadgets_{next(numbers)}"
        (folder / f"{module}.py").write_text(IMPORTS + textwrap.dedent(source))
        name = [line for line in source.splitlines() if line.strip().startswith("class ")][-1]
        name = name.split()[1].partition("(")[0]
        actor = f'[[actor]]\nclass = "{module}:{name}"\nname = "it"\nargs = {{ {args} }}'
        (folder / "home.toml").write_text(f"[node]\n{node}\n{actor}")
        try:
            return {plan.attribute: plan for plan in read("home.toml")}
        finally:
            sys.modules.pop(module, None)

    return plans


# -- sockets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "kind", "is_binder"),
    [
        ("Publisher", "XPUB", True),
        ("Subscriber", "SUB", False),
        ("Requester", "REQ", False),
        ("Replier", "REP", True),
        ("Pusher", "PUSH", True),
        ("Puller", "PULL", False),
        ("Dealer", "DEALER", False),
        ("Router", "ROUTER", True),
        ("Pair", "PAIR", False),
    ],
)
def test_each_socket_class_is_planned_with_its_type_and_its_part_in_a_service(
    plans, spec, kind, is_binder
):
    (plan,) = plans(f"class It(Actor):\n    it = {spec}(service='tasks', codec='raw')").values()
    assert (plan.kind, plan.service, plan.codec) == (kind, "tasks", "raw")
    assert (plan.is_binder, plan.bind, plan.connect) == (is_binder, (), ())
    for word, binds in (("bind", True), ("connect", False)):
        source = f"class It(Actor):\n    it = {spec}(service='tasks', {word}=True)"
        assert plans(source)["it"].is_binder is binds


def test_a_plan_says_where_it_is_from(plans):
    source = """
        class Base(Actor):
            tasks = Pusher(bind="tcp://*:5557", connect=["ipc://a", "ipc://b"])

        class Ventilator(Base):
            feed = Publisher(service="weather")
    """
    found = plans(source, node='mesh = "lab"\ninsecure_lan = true')
    assert set(found) == {"tasks", "feed"}
    tasks = found["tasks"]
    assert (tasks.file, tasks.mesh, tasks.is_local, tasks.actor) == (
        "home.toml",
        "lab",
        False,
        "it",
    )
    assert tasks.owner.partition(":")[2] == "Ventilator"
    assert (tasks.bind, tasks.connect) == (("tcp://*:5557",), ("ipc://a", "ipc://b"))
    assert (tasks.service, tasks.codec) == (None, "msgpack")
    assert (found["feed"].bind, found["feed"].is_binder) == ((), True)


def test_a_file_without_a_node_is_of_the_default_mesh_and_keeps_to_its_machine(plans):
    (plan,) = plans("class It(Actor):\n    it = Pusher(service='tasks')").values()
    assert (plan.mesh, plan.is_local) == ("default", True)


def test_actors_without_sockets_plan_none(plans):
    assert plans("class It(Actor): ...") == {}


def test_nothing_is_made_and_nothing_runs(plans):
    source = """
        class It(Actor):
            it = Puller(bind="tcp://*:{port}")

            def __init__(self, port: int) -> None:
                self.port = port
                raise AssertionError("made")

            @property
            def place(self):
                raise AssertionError("asked")
    """
    assert plans(source, "port = 5557")["it"].bind == ("tcp://*:5557",)


def test_standard_input_is_called_so(monkeypatch, folder):
    (folder / "gadgets_piped.py").write_text(
        f"{IMPORTS}\nclass It(Actor):\n    it = Pusher(service='tasks')"
    )
    (folder / "piped").write_text('[[actor]]\nclass = "gadgets_piped:It"')
    with (folder / "piped").open() as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        assert [plan.file for plan in read("-")] == ["standard input"]
    sys.modules.pop("gadgets_piped")


# -- endpoints that name attributes ---------------------------------------------------------------


FILLED = [
    ("bind='tcp://{host}:{port}'", "host, port", "self.host, self.port = host, port"),
    ("bind='tcp://{host}:{port}'", "host='*', port=0", "self.host = host; self.port = port"),
    ("bind='tcp://{host}:{port}'", "host, *, port: int = 1", "self.host = host; self.port = port"),
    ("bind='tcp://{host}:{port}'", "host, port", "vars(self).update(locals())"),
    ("bind='tcp://{host}:5557'", "host, port", "self.host: str = host"),
]


@pytest.mark.parametrize(("spec", "parameters", "body"), FILLED)
def test_names_in_braces_are_filled_from_the_arguments(plans, spec, parameters, body):
    source = f"""
        class It(Actor):
            it = Pusher({spec})

            def __init__(self, {parameters}) -> None:
                {body}
    """
    assert plans(source, 'host = "roof", port = 5557')["it"].bind == ("tcp://roof:5557",)


def test_what_is_filled_in_is_what_the_socket_will_have():
    class It(Actor):
        it = Puller(bind=["tcp://{host}:{port}", "ipc://@{host}-{{x}}", "{more}"], connect="{far}")
        more = ""

        def __init__(self, host: str, port: int = 5557, far: str = "tcp://roof:5557") -> None:
            self.host, self.port = host, port
            self.far = far

    for args in ({"host": "*"}, {"host": "localhost", "port": 1, "far": ""}):
        (plan,) = sockets(Topology({}, [Plan(It, "it", args)]), "home.toml")
        assert (plan.bind, plan.connect) == It.it.wiring.places(It(**args), "it.it")
        assert not any("{h" in endpoint for endpoint in plan.bind)


def test_what_is_not_given_is_filled_from_the_defaults_and_the_class(plans):
    source = """
        class Base(Actor):
            it = Pusher(connect="tcp://{host}:{port}", bind=["ipc://{name}", "{more}", "ipc://x"])
            port = 5557
            more = ""

        class It(Base):
            def __init__(self, host: str = "roof") -> None:
                self.host = host
    """
    plan = plans(source)["it"]
    assert plan.connect == ("tcp://roof:5557",)
    assert plan.bind == ("ipc://it", "ipc://x")  # the actor's name; one that is empty is left out


@pytest.mark.parametrize(
    ("parameters", "body"),
    [
        ("port", "self.port = port + 1"),
        ("port", "self.port = port or 5557"),
        ("port", "port = port + 1; self.port = port"),
        ("port", "self.port = port; self.port += 1"),
        ("port", "self.port, self.host = other(port)"),
        ("port", "self.port = host"),
        ("port=None", "self.port = port"),
        ("number=5557", "self.port = number"),
        ("", "for self.port in range(3): pass"),
        ("**given", "self.host = given"),
        ("", "pass"),
    ],
)
def test_what_is_worked_out_stays_a_name(plans, parameters, body):
    source = f"""
        class It(Actor):
            it = Pusher(bind="tcp://*:{{port}}")

            def __init__(self, {parameters}) -> None:
                {body}
    """
    given = "port = 5557" if parameters == "port" else ""
    assert plans(source, given)["it"].bind == ("tcp://*:{port}",)


@pytest.mark.parametrize("value", ["property(lambda self: 5557)", "[5557]", "None"])
def test_an_attribute_of_the_class_that_is_no_plain_value_stays_a_name(plans, value):
    source = f"""
        class It(Actor):
            it = Pusher(bind="tcp://*:{{port}}")
            port = {value}
    """
    assert plans(source)["it"].bind == ("tcp://*:{port}",)


# -- subscribed and answered ----------------------------------------------------------------------

METHODS = [
    ("await self.readings.subscribe('98101')", True),
    ("await asyncio.gather(*map(self.readings.subscribe, 'ab'))", True),
    ("if self.late: await actor.readings.subscribe('')", True),
    ("call = lambda: self.readings.subscribe('')", True),
    ("pass", False),
    ("self.readings.missed; await self.other.subscribe('')", False),
    ("self.log.info('%s', type(self).__name__); super().on_start()", False),
    ("await prepare(self.readings)", None),
    ("readings = self.readings", None),
    ("for feed in (self.readings, self.other): await feed.subscribe('')", None),
    ("await getattr(self, 'readings').subscribe('')", None),
    ("await prepare(self)", None),
    ("me = self", None),
]


@pytest.mark.parametrize(("body", "is_subscribed"), METHODS)
def test_a_subscription_is_seen_in_the_methods(plans, body, is_subscribed):
    source = f"""
        class It(Actor):
            readings = Subscriber(service="weather")
            other = Subscriber(service="weather")

            @readings.received
            def note(self, *values) -> None: ...

            async def on_start(self) -> None:
                {body}
    """
    assert plans(source)["readings"].is_subscribed is is_subscribed


@pytest.mark.parametrize(
    ("body", "is_answered"),
    [
        ("await self.door.send(peer, 'World')", True),
        ("self.door.send_nowait(peer, 'World')", True),
        ("self.seen = peer", False),
        ("await self.door.ready(1)", False),
        ("door = self.door", None),
        ("await reply(self, peer)", None),
    ],
)
def test_an_answer_is_seen_in_the_methods(plans, body, is_answered):
    source = f"""
        class It(Actor):
            door = Router(service="door")

            @door.received
            async def hello(self, peer, *values) -> None:
                {body}
    """
    assert plans(source)["door"].is_answered is is_answered


def test_what_a_base_or_a_mixin_does_counts(plans):
    source = """
        class Prepares:
            async def prepare(self) -> None:
                await self.readings.subscribe("")

        class Base(Actor):
            readings = Subscriber(service="weather")

        class Half(Base):
            async def on_start(self) -> None:
                await self.readings.ready()

        class It(Prepares, Half): ...
    """
    assert plans(source)["readings"].is_subscribed is True
    assert plans(source[: source.index("class It")])["readings"].is_subscribed is False


def test_a_decorated_class_may_do_anything(plans):
    source = """
        def prepared(kind):
            return kind

        @prepared
        class It(Actor):
            readings = Subscriber(service="weather")
    """
    assert plans(source)["readings"].is_subscribed is None


def test_a_static_method_has_no_self(plans):
    source = """
        class It(Actor):
            readings = Subscriber(service="weather")

            @staticmethod
            def shown(value, *more):
                return str([value])

            @staticmethod
            def nothing(): ...
    """
    assert plans(source)["readings"].is_subscribed is False


def test_where_the_source_is_not_there_nothing_is_known():
    spec = Subscriber(service="weather")
    made = type("Made", (Actor,), {"readings": spec, "door": Router(service="door")})
    found = sockets(Topology({}, [Plan(made, "it", {})]), "home.toml")
    assert [(plan.is_subscribed, plan.is_answered) for plan in found] == [(None, None)] * 2


def test_a_class_within_a_function_is_read_as_well():
    class Lost(Actor):
        readings = Subscriber(service="weather")

    class Found(Actor):
        readings = Subscriber(service="weather")

        async def on_start(self):
            await self.readings.subscribe("")

    found = sockets(Topology({}, [Plan(Lost, "a", {}), Plan(Found, "b", {})]), "home.toml")
    assert [plan.is_subscribed for plan in found] == [False, True]


# -- devices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "faces"),
    [
        ("Queue", ("ROUTER", "DEALER")),
        ("Forwarder", ("XSUB", "XPUB")),
        ("Streamer", ("PULL", "PUSH")),
    ],
)
def test_a_device_is_two_sockets(plans, device, faces):
    args = 'frontend = "tcp://roof:5556", backend = "tcp://*:8100", frontend_connect = true'
    found = plans(f"class It({device}): ...", args)
    assert list(found) == ["frontend", "backend"]
    front, back = found.values()
    assert (front.kind, back.kind) == faces
    assert (front.bind, front.connect) == ((), ("tcp://roof:5556",))
    assert (back.bind, back.connect) == (("tcp://*:8100",), ())
    assert (front.is_binder, back.is_binder) == (False, True)
    facts = [
        (plan.codec, plan.service, plan.is_subscribed, plan.is_answered) for plan in (front, back)
    ]
    assert facts == [(None, None, None, None)] * 2


def test_a_device_that_a_file_names_by_itself_is_planned():
    topology = parse(
        """
        [[actor]]
        class = "actormq.devices.device:Forwarder"
        args = { frontend = "tcp://*:5556", backend = "ipc://out", backend_connect = true }
        """,
        "home.toml",
    )
    assert topology.actors[0].kind is Forwarder
    front, back = sockets(topology, "home.toml")
    assert (front.actor, front.bind, back.connect) == (
        "forwarder",
        ("tcp://*:5556",),
        ("ipc://out",),
    )


def test_a_device_has_its_endpoints_from_its_class_as_well(plans):
    source = """
        class It(Forwarder):
            frontend = "tcp://roof:5556"
            frontend_connect = True
            backend = "tcp://*:8100"
    """
    front, back = plans(source, 'backend = "tcp://*:8200"').values()
    assert (front.connect, back.bind) == (("tcp://roof:5556",), ("tcp://*:8200",))


def test_a_device_that_works_out_its_endpoints_has_none_that_are_known(plans):
    source = """
        class It(Forwarder):
            def __init__(self, port: int) -> None:
                super().__init__(f"tcp://*:{port}", f"tcp://*:{port + 1}")
    """
    front, back = plans(source, "port = 5556").values()
    assert (front.bind, front.connect, back.bind, back.connect) == ((), (), (), ())


# -- what it is for -------------------------------------------------------------------------------


def test_a_puller_is_no_router_and_no_subscriber():
    class Sink(Actor):
        results = Puller(bind="tcp://*:5558")

    (plan,) = sockets(Topology({}, [Plan(Sink, "sink", {})]), "home.toml")
    assert (plan.kind, plan.is_subscribed, plan.is_answered) == ("PULL", False, False)

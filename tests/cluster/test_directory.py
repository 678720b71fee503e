import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.address import ActorEntry, ServiceEntry
from actormq.cluster.directory import Directory, pack_actor, pack_service, state_from
from actormq.codec import Codec
from actormq.errors import RemoteProtocolError
from actormq.message import STATE

OWN, ROOF, CELLAR = "0" * 16, "1" * 16, "2" * 16


def actor(serial, name, kind="apps.hello:Greeter"):
    return ActorEntry(serial, name, kind)


def service(serial, name="weather", endpoints=("tcp://*:5556",)):
    return ServiceEntry(serial, name, "XPUB", "msgpack", endpoints)


@pytest.fixture
def directory():
    return Directory(OWN)


@pytest.fixture
def news(directory):
    """What a watcher was told: pairs of sorted names and services."""
    told = []
    directory.watch(lambda names, services: told.append((sorted(names), sorted(services))))
    return told


# -- names ------------------------------------------------------------------------------------


def test_a_name_is_found_where_it_was_announced(directory):
    directory.change(ROOF, actors=[actor(1, "greeter")])

    assert directory.named("greeter") == [(ROOF, actor(1, "greeter"))]
    assert directory.named("nobody") == []


def test_a_name_that_several_hold_is_our_own_first_then_the_longest_known(directory):
    for node in (CELLAR, ROOF, OWN):
        directory.change(node, actors=[actor(1, "worker")])

    assert [node for node, _ in directory.named("worker")] == [OWN, CELLAR, ROOF]


def test_who_is_gone_is_found_no_more(directory):
    directory.change(ROOF, actors=[actor(1, "a"), actor(2, "b")])

    directory.change(ROOF, gone=[1])

    assert directory.named("a") == []
    assert directory.named("b") == [(ROOF, actor(2, "b"))]


def test_a_name_that_was_taken_over_survives_the_end_of_its_first_holder(directory):
    directory.change(ROOF, actors=[actor(1, "greeter")])
    directory.change(ROOF, actors=[actor(9, "greeter")])

    directory.change(ROOF, gone=[1])

    assert directory.named("greeter") == [(ROOF, actor(9, "greeter"))]


def test_a_serial_that_stands_for_something_else_leaves_nothing_behind(directory, news):
    directory.change(ROOF, actors=[actor(1, "a")], services=[service(2, "old")])

    directory.change(ROOF, actors=[actor(1, "b")], services=[service(2, "new")])

    assert directory.named("a") == []
    assert directory.named("b") == [(ROOF, actor(1, "b"))]
    assert directory.services("old") == []
    assert news[-1] == (["a", "b"], ["new", "old"])


def test_a_node_that_is_gone_takes_all_it_had(directory, news):
    directory.change(ROOF, actors=[actor(1, "a")], services=[service(2)])
    directory.change(CELLAR, actors=[actor(1, "a")])

    directory.forget(ROOF)
    directory.forget(ROOF)

    assert directory.named("a") == [(CELLAR, actor(1, "a"))]
    assert directory.services("weather") == []
    assert directory.of(ROOF).actors == {}
    assert news[-1] == (["a"], ["weather"])
    assert len(news) == 3


# -- the whole and the parts ------------------------------------------------------------------


def test_the_whole_replaces_what_was_known(directory):
    directory.change(ROOF, actors=[actor(1, "a"), actor(2, "b")], services=[service(3)])

    directory.change(ROOF, actors=[actor(2, "b"), actor(4, "c")], whole=True)

    assert set(directory.of(ROOF).actors) == {2, 4}
    assert directory.of(ROOF).services == {}
    assert directory.named("a") == []


def test_a_part_adds_to_what_was_known(directory):
    directory.change(ROOF, actors=[actor(1, "a")])
    directory.change(ROOF, services=[service(2)])

    assert set(directory.of(ROOF).actors) == {1}
    assert directory.services("weather") == [(ROOF, service(2))]


def test_what_is_gone_and_was_never_there_is_no_error(directory, news):
    directory.change(ROOF, gone=[7])

    assert news == []


def test_a_node_announces_so_many_entries_and_no_more():
    directory = Directory(OWN, entry_limit=3)

    directory.change(ROOF, actors=[actor(n, f"a{n}") for n in range(10)])
    directory.change(ROOF, services=[service(20 + n) for n in range(10)])
    directory.change(CELLAR, actors=[actor(1, "a")])

    assert len(directory.of(ROOF).actors) == 3
    assert len(directory.of(ROOF).services) == 3
    assert directory.named("a") == [(CELLAR, actor(1, "a"))]


def test_at_the_limit_a_second_announcement_adds_nothing():
    directory = Directory(OWN, entry_limit=3)
    for batch in range(4):
        directory.change(ROOF, actors=[actor(10 * batch + n, "x") for n in range(2)])

    assert len(directory.of(ROOF).actors) <= 3


# -- who watches ------------------------------------------------------------------------------


def test_who_watches_hears_names_and_services_that_came_or_went(directory, news):
    directory.change(ROOF, actors=[actor(1, "a")], services=[service(2)])
    directory.change(ROOF, gone=[1])
    directory.change(ROOF, services=[service(2, endpoints=("tcp://*:7",))])

    assert news == [(["a"], ["weather"]), (["a"], []), ([], ["weather"])]


def test_what_was_known_already_is_no_news(directory, news):
    for _ in range(3):
        directory.change(ROOF, actors=[actor(1, "a")], services=[service(2)])
        directory.change(ROOF, actors=[actor(1, "a")], services=[service(2)], whole=True)

    assert len(news) == 1


def test_who_has_ended_its_watch_hears_nothing(directory):
    told = []
    end = directory.watch(lambda *news: told.append(news))

    end()
    end()
    directory.change(ROOF, actors=[actor(1, "a")])

    assert told == []


def test_a_watch_may_end_itself_as_it_is_told(directory, news):
    def once(*_):
        end()

    end = directory.watch(once)
    directory.change(ROOF, actors=[actor(1, "a")])
    directory.change(ROOF, actors=[actor(2, "b")])

    assert len(news) == 2


# -- the wire ---------------------------------------------------------------------------------

texts = st.text(max_size=255)
serials = st.integers(0, 2**53)
actors = st.lists(st.builds(ActorEntry, serials, texts, texts), max_size=5)
services = st.lists(
    st.builds(ServiceEntry, serials, texts, texts, texts, st.lists(texts, max_size=3).map(tuple)),
    max_size=5,
)


@given(actors=actors, services=services, gone=st.lists(serials), whole=st.booleans())
def test_a_state_is_read_back_as_it_was_packed(actors, services, gone, whole):
    envelope = [STATE, whole, [*map(pack_actor, actors)], [*map(pack_service, services)], gone]

    assert state_from(envelope) == {
        "whole": whole,
        "actors": actors,
        "services": services,
        "gone": gone,
    }


def test_the_whole_of_a_node_makes_it_again_elsewhere(directory):
    directory.change(OWN, actors=[actor(1, "a")], services=[service(2)])
    copy = Directory(CELLAR)

    [part] = directory.of(OWN).packed()
    copy.change(OWN, **state_from([STATE, True, *part]))

    assert copy.of(OWN) == directory.of(OWN)


def test_what_does_not_fit_one_message_is_told_in_parts(directory):
    directory.change(OWN, actors=[actor(n, "é" * 255) for n in range(2_500)])
    directory.change(OWN, services=[service(9_999)])
    copy, codec = Directory(CELLAR), Codec(4 << 20, 1 << 20)
    copy.change(OWN, actors=[actor(77_777, "gone since")])

    for number, part in enumerate(directory.of(OWN).packed()):
        packed, _ = codec.pack("peer", [STATE, number == 0, *part])
        copy.change(OWN, **state_from(*codec.unpack([packed])))

    assert copy.of(OWN) == directory.of(OWN)


def test_more_elements_of_later_versions_are_passed_over():
    state = state_from([STATE, True, [[1, "a", "k", "new"]], [], [], "newer"])

    assert state["actors"] == [ActorEntry(1, "a", "k")]


@pytest.mark.parametrize(
    "tail",
    [
        [],
        [1, [], [], []],
        [True, [], []],
        [True, {}, [], []],
        [True, [7], [], []],
        [True, [[1, "a"]], [], []],
        [True, [["1", "a", "k"]], [], []],
        [True, [[1, "x" * 256, "k"]], [], []],
        [True, [], [[1, "s", "XPUB", "msgpack"]], []],
        [True, [], [[1, "s", "XPUB", "msgpack", "tcp://*:1"]], []],
        [True, [], [[1, "s", "XPUB", "msgpack", [1]]], []],
        [True, [], [[1, "s", "XPUB", "msgpack", ["x" * 256]]], []],
        [True, [], [[1, "x" * 256, "XPUB", "msgpack", []]], []],
    ],
    ids=lambda tail: str(tail)[:40],
)
def test_a_state_of_another_shape_is_a_protocol_error(tail):
    with pytest.raises(RemoteProtocolError):
        state_from([STATE, *tail])

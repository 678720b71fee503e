import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.address import ActorEntry, ServiceEntry
from actormq.cluster.directory import Directory, StateChange, Taken, state_from
from actormq.codec import Codec
from actormq.errors import RemoteProtocolError
from actormq.message import STATE

OWN, ROOF, CELLAR = "0" * 16, "1" * 16, "2" * 16


def actor(serial, name, kind="apps.hello:Greeter"):
    return ActorEntry(serial, name, kind)


def service(serial, name="weather", endpoints=("tcp://*:5556",)):
    return ServiceEntry(serial, name, "XPUB", "msgpack", endpoints)


def come(directory, node, *, actors=(), services=(), gone=()):
    """Let a directory take the next change of what a node has."""
    if node == OWN:
        directory.change(actors, services, gone)
        return
    base = directory.version(node)
    change = StateChange(node, base, base + 1, actors, services, gone)
    assert directory.take(change, node) is Taken.NEWS


def whole(directory, node, version, *, actors=(), services=()):
    return directory.take(StateChange(node, None, version, actors, services), node)


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
    come(directory, ROOF, actors=[actor(1, "greeter")])

    assert directory.named("greeter") == [(ROOF, actor(1, "greeter"))]
    assert directory.named("nobody") == []


def test_a_name_that_several_hold_is_our_own_first_then_the_longest_known(directory):
    for node in (CELLAR, ROOF, OWN):
        come(directory, node, actors=[actor(1, "worker")])

    assert [node for node, _ in directory.named("worker")] == [OWN, CELLAR, ROOF]


def test_who_is_gone_is_found_no_more(directory):
    come(directory, ROOF, actors=[actor(1, "a"), actor(2, "b")])

    come(directory, ROOF, gone=[1])

    assert directory.named("a") == []
    assert directory.named("b") == [(ROOF, actor(2, "b"))]


def test_a_name_that_was_taken_over_survives_the_end_of_its_first_holder(directory):
    come(directory, ROOF, actors=[actor(1, "greeter")])
    come(directory, ROOF, actors=[actor(9, "greeter")])

    come(directory, ROOF, gone=[1])

    assert directory.named("greeter") == [(ROOF, actor(9, "greeter"))]


def test_a_serial_that_stands_for_something_else_leaves_nothing_behind(directory, news):
    come(directory, ROOF, actors=[actor(1, "a")], services=[service(2, "old")])

    come(directory, ROOF, actors=[actor(1, "b")], services=[service(2, "new")])

    assert directory.named("a") == []
    assert directory.named("b") == [(ROOF, actor(1, "b"))]
    assert directory.services("old") == []
    assert news[-1] == (["a", "b"], ["new", "old"])


def test_a_node_that_is_gone_takes_all_it_had(directory, news):
    come(directory, ROOF, actors=[actor(1, "a")], services=[service(2)])
    come(directory, CELLAR, actors=[actor(1, "a")])

    directory.forget(ROOF)
    directory.forget(ROOF)

    assert directory.named("a") == [(CELLAR, actor(1, "a"))]
    assert directory.services("weather") == []
    assert directory.of(ROOF).actors == {}
    assert news[-1] == (["a"], ["weather"])
    assert len(news) == 3


# -- the whole and the parts ------------------------------------------------------------------


def test_the_whole_replaces_what_was_known(directory):
    come(directory, ROOF, actors=[actor(1, "a"), actor(2, "b")], services=[service(3)])

    whole(directory, ROOF, 2, actors=[actor(2, "b"), actor(4, "c")])

    assert set(directory.of(ROOF).actors) == {2, 4}
    assert directory.of(ROOF).services == {}
    assert directory.named("a") == []


def test_a_part_adds_to_what_was_known(directory):
    come(directory, ROOF, actors=[actor(1, "a")])
    come(directory, ROOF, services=[service(2)])

    assert set(directory.of(ROOF).actors) == {1}
    assert directory.services("weather") == [(ROOF, service(2))]


def test_what_is_gone_and_was_never_there_is_no_error(directory, news):
    come(directory, ROOF, gone=[7])

    assert news == []


def test_a_node_announces_so_many_entries_and_no_more():
    directory = Directory(OWN, entry_limit=3)

    come(directory, ROOF, actors=[actor(n, f"a{n}") for n in range(10)])
    come(directory, ROOF, services=[service(20 + n) for n in range(10)])
    come(directory, CELLAR, actors=[actor(1, "a")])

    assert len(directory.of(ROOF).actors) == 3
    assert len(directory.of(ROOF).services) == 3
    assert directory.named("a") == [(CELLAR, actor(1, "a"))]


def test_at_the_limit_a_second_announcement_adds_nothing():
    directory = Directory(OWN, entry_limit=3)
    for batch in range(4):
        come(directory, ROOF, actors=[actor(10 * batch + n, "x") for n in range(2)])

    assert len(directory.of(ROOF).actors) <= 3


# -- who watches ------------------------------------------------------------------------------


def test_who_watches_hears_names_and_services_that_came_or_went(directory, news):
    come(directory, ROOF, actors=[actor(1, "a")], services=[service(2)])
    come(directory, ROOF, gone=[1])
    come(directory, ROOF, services=[service(2, endpoints=("tcp://*:7",))])

    assert news == [(["a"], ["weather"]), (["a"], []), ([], ["weather"])]


def test_those_that_connect_are_known_but_no_news_for_whoever_watches(directory, news):
    """Of hundreds that come, each would be told to all who came before."""
    come(directory, ROOF, services=[service(1), *(service(n, endpoints=()) for n in range(2, 9))])
    come(directory, ROOF, services=[service(9, endpoints=())])
    come(directory, ROOF, gone=[9, 2])

    assert news == [([], ["weather"])]
    assert [entry.serial for _, entry in directory.bound("weather")] == [1]
    assert [entry.serial for _, entry in directory.connecting("weather")] == [3, 4, 5, 6, 7, 8]
    directory.forget(ROOF)
    assert directory.services("weather") == []
    assert news == [([], ["weather"])] * 2


def test_an_end_that_binds_from_now_on_is_news_and_no_more_among_those_that_connect(
    directory, news
):
    come(directory, ROOF, services=[service(1, endpoints=())])
    come(directory, ROOF, services=[service(1)])

    assert news == [([], ["weather"])]
    assert directory.connecting("weather") == []
    assert [entry.serial for _, entry in directory.bound("weather")] == [1]


def test_what_was_known_already_is_no_news(directory, news):
    for version in range(1, 4):
        come(directory, ROOF, actors=[actor(1, "a")], services=[service(2)])
        taken = whole(directory, ROOF, version, actors=[actor(1, "a")], services=[service(2)])
        assert taken is Taken.KNOWN
        whole(directory, CELLAR, version, actors=[actor(1, "a")])

    assert news == [(["a"], ["weather"]), (["a"], [])]


def test_who_has_ended_its_watch_hears_nothing(directory):
    told = []
    end = directory.watch(lambda *news: told.append(news))

    end()
    end()
    come(directory, ROOF, actors=[actor(1, "a")])

    assert told == []


def test_a_watch_may_end_itself_as_it_is_told(directory, news):
    def once(*_):
        end()

    end = directory.watch(once)
    come(directory, ROOF, actors=[actor(1, "a")])
    come(directory, ROOF, actors=[actor(2, "b")])

    assert len(news) == 2


# -- the wire ---------------------------------------------------------------------------------

texts = st.text(max_size=255)
serials = st.integers(0, 2**53)
actors = st.lists(st.builds(ActorEntry, serials, texts, texts), max_size=5)
services = st.lists(
    st.builds(ServiceEntry, serials, texts, texts, texts, st.lists(texts, max_size=3).map(tuple)),
    max_size=5,
)


@given(
    actors=actors,
    services=services,
    gone=st.lists(serials),
    base=st.none() | st.integers(-5, 2**60),
    version=serials,
)
def test_a_state_is_read_back_as_it_was_packed(actors, services, gone, base, version):
    change = StateChange(ROOF, base, version, actors, services, gone)

    [read] = Codec(4 << 20, 1 << 20).unpack([Codec(4 << 20, 1 << 20).pack("x", change.packed())[0]])

    assert state_from(read) == change


def test_the_whole_of_a_node_makes_it_again_elsewhere(directory):
    directory.change([actor(1, "a")], [service(2)])
    copy = Directory(CELLAR)

    [part] = directory.of(OWN).whole(OWN)

    assert copy.take(state_from(part.packed()), OWN) is Taken.NEWS
    assert copy.of(OWN) == directory.of(OWN)


def test_of_what_was_never_changed_there_is_nothing_to_tell(directory):
    assert list(directory.of(OWN).whole(OWN)) == []
    assert list(directory.of(ROOF).whole(ROOF)) == []


def parts_of(directory):
    """2 500 actors and 1 200 sockets, as envelopes that each fit a message."""
    codec = Codec(4 << 20, 1 << 20)
    directory.change([actor(n, f"{n:0255}".replace("0", "é")) for n in range(2_500)])
    directory.change(services=[service(10_000 + n) for n in range(1_200)])
    packed = [codec.pack("peer", part.packed())[0] for part in directory.of(OWN).whole(OWN)]
    return [state_from(codec.unpack([one])[0]) for one in packed]


def test_what_does_not_fit_one_message_is_told_in_parts(directory):
    copy = Directory(CELLAR)
    copy.take(StateChange(OWN, 0, 1, [actor(77_777, "gone since")]), OWN)

    taken = [copy.take(part, ROOF) for part in parts_of(directory)]

    assert taken == [Taken.KNOWN, Taken.KNOWN, Taken.NEWS]
    assert copy.of(OWN) == directory.of(OWN)


def test_nothing_of_a_whole_counts_before_its_last_part(directory):
    first, second, _ = parts_of(directory)
    copy = Directory(CELLAR)

    for part in (first, second):
        copy.take(part, ROOF)

    assert copy.version(OWN) == 0
    assert copy.named(first.actors[0].name) == []


@pytest.mark.parametrize("order", [(1, 2), (0, 2), (0, 1, 1, 2), (2, 1, 0), (2,), (1, 0, 2)])
def test_a_whole_of_which_a_part_is_missing_is_not_taken(directory, order):
    parts = parts_of(directory)
    copy = Directory(CELLAR)

    for number in order:
        copy.take(parts[number], ROOF)

    assert copy.version(OWN) == 0
    for part in parts:  # it is asked for again
        copy.take(part, ROOF)
    assert copy.of(OWN) == directory.of(OWN)


def test_parts_that_two_tell_at_once_are_kept_apart(directory):
    before = parts_of(directory)
    directory.change(gone=[0, 1_500])
    after = [state_from(part.packed()) for part in directory.of(OWN).whole(OWN)]
    copy = Directory(CELLAR)

    for one, other in zip(before, after, strict=True):
        copy.take(one, ROOF)
        copy.take(other, CELLAR)

    assert copy.of(OWN) == directory.of(OWN)


def test_a_change_between_the_parts_of_a_whole_is_taken_by_itself(directory):
    first, second, last = parts_of(directory)
    copy = Directory(CELLAR)

    copy.take(first, ROOF)
    assert copy.take(StateChange(OWN, 0, 1, [actor(5, "early")]), ROOF) is Taken.NEWS
    copy.take(second, ROOF)
    assert copy.take(last, ROOF) is Taken.NEWS

    assert copy.of(OWN) == directory.of(OWN)
    assert copy.named("early") == []


def test_one_whole_of_each_sender_waits_for_its_parts(directory):
    for number in range(1_000):
        first = StateChange(f"{number:016x}", None, 0, [actor(1, "a")])
        directory.take(first, ROOF)

    assert len(directory._coming) == 1
    directory.forget(ROOF)
    assert not directory._coming


# -- versions ---------------------------------------------------------------------------------


def test_each_change_of_ones_own_has_the_next_version(directory):
    changes = [
        directory.change([actor(1, "a")]),
        directory.change(services=[service(2)]),
        directory.change(gone=[1]),
    ]

    assert [(one.node, one.base, one.version) for one in changes] == [
        (OWN, 0, 1),
        (OWN, 1, 2),
        (OWN, 2, 3),
    ]
    assert directory.version(OWN) == 3


@pytest.mark.parametrize(
    ("base", "version", "taken"),
    [
        (0, 1, Taken.KNOWN),
        (1, 2, Taken.KNOWN),
        (2, 3, Taken.NEWS),
        (2, 5, Taken.NEWS),
        (3, 4, Taken.GAP),
        (2, 2, Taken.KNOWN),
        (0, 3, Taken.GAP),
        (0, 0, Taken.KNOWN),
        (None, 2, Taken.KNOWN),
        (None, 3, Taken.NEWS),
        (None, 0, Taken.KNOWN),
        (-1, 3, Taken.KNOWN),
    ],
)
def test_a_change_is_taken_where_it_fits(directory, base, version, taken):
    for name in "ab":
        come(directory, ROOF, actors=[actor(ord(name), name)])

    assert directory.take(StateChange(ROOF, base, version, [actor(9, "new")]), ROOF) is taken
    assert bool(directory.named("new")) == (taken is Taken.NEWS)
    assert directory.version(ROOF) == (version if taken is Taken.NEWS else 2)


def test_what_a_node_had_is_forgotten_with_its_version(directory):
    come(directory, ROOF, actors=[actor(1, "a")])
    directory.take(StateChange(ROOF, None, 0, [actor(2, "b")]), CELLAR)

    directory.forget(ROOF)

    assert directory.version(ROOF) == 0
    assert directory.take(StateChange(ROOF, -1, 7), CELLAR) is Taken.KNOWN
    assert whole(directory, ROOF, 1, actors=[actor(3, "c")]) is Taken.NEWS


def test_a_serial_that_comes_twice_at_once_leaves_no_name_behind(directory):
    come(directory, ROOF, actors=[actor(1, f"a{n}") for n in range(1_000)])

    assert directory.named("a0") == []
    assert directory.named("a999") == [(ROOF, actor(1, "a999"))]
    directory.forget(ROOF)
    assert not directory._names


def test_the_whole_of_a_liar_is_cut_off_at_the_limit():
    directory = Directory(OWN, entry_limit=3)

    for number in range(5):
        first = 10 * number
        part = StateChange(
            ROOF,
            -number or None,
            1 if number == 4 else 0,
            [actor(first + n, f"a{first + n}") for n in range(2)],
            [service(100 + first + n) for n in range(2)],
        )
        directory.take(part, ROOF)

    assert len(directory.of(ROOF).actors) == len(directory.of(ROOF).services) == 3
    assert len(directory._names) == 3


@pytest.mark.parametrize("holds", [True, False])
def test_an_elected_name_says_whether_it_is_the_holder(directory, holds):
    entry = ActorEntry(1, "leader", "m:Leader", elected=True, holds=holds)
    directory.change([entry])

    [part] = directory.of(OWN).whole(OWN)

    assert part.packed()[4] == [[1, "leader", "m:Leader", holds]]
    assert state_from(part.packed()).actors == [entry]


def test_more_elements_of_later_versions_are_passed_over():
    state = state_from([STATE, ROOF, 0, 1, [[1, "a", "k", "new"]], [], [], "newer"])

    assert state.actors == [ActorEntry(1, "a", "k")]


@pytest.mark.parametrize(
    "tail",
    [
        [],
        [0, 1, [], []],
        [0, 1, {}, [], []],
        [True, "1", [], [], []],
        ["0", 1, [], [], []],
        [0, -1, [], [], []],
        [0, 1, [7], [], []],
        [0, 1, [[1, "a"]], [], []],
        [0, 1, [["1", "a", "k"]], [], []],
        [0, 1, [[1, "x" * 256, "k"]], [], []],
        [0, 1, [], [[1, "s", "XPUB", "msgpack"]], []],
        [0, 1, [], [[1, "s", "XPUB", "msgpack", "tcp://*:1"]], []],
        [0, 1, [], [[1, "s", "XPUB", "msgpack", [1]]], []],
        [0, 1, [], [[1, "s", "XPUB", "msgpack", ["x" * 256]]], []],
        [0, 1, [], [[1, "x" * 256, "XPUB", "msgpack", []]], []],
    ],
    ids=lambda tail: str(tail)[:40],
)
def test_a_state_of_another_shape_is_a_protocol_error(tail):
    with pytest.raises(RemoteProtocolError):
        state_from([STATE, ROOF, *tail])
    with pytest.raises(RemoteProtocolError):
        state_from([STATE, "roof", 0, 1, [], [], []])

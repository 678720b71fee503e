import pytest
from hypothesis import given
from hypothesis import strategies as st

from actormq.rules import streams
from actormq.rules.streams import Positions

STREAM, OTHER = 7, 8


def noted(positions, *numbers, stream=STREAM, topic="t"):
    """Note messages in order; how many were missed before each."""
    return [positions.note(stream, topic, number) for number in numbers]


def synced(baseline=None):
    positions = Positions()
    positions.synced(STREAM, baseline or {})
    return positions


def counts(positions):
    return positions.received_count, positions.missed_count


# -- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("baseline", "numbers", "gaps"),
    [
        ({}, [1, 2, 3], [0, 0, 0]),
        ({}, [3], [2]),  # a new topic begins at 1
        ({}, [1, 4, 5, 9], [0, 2, 0, 3]),
        ({"t": 5}, [6, 7], [0, 0]),
        ({"t": 5}, [8], [2]),
        ({"t": 5}, [4, 5, 6], [0, 0, 0]),  # published before the baseline was told
        ({"other": 9}, [2], [1]),
    ],
)
def test_gaps_behind_a_baseline_are_missed(baseline, numbers, gaps):
    positions = synced(baseline)

    assert noted(positions, *numbers) == gaps
    assert counts(positions) == (len(numbers), sum(gaps))


def test_a_stream_that_has_not_vouched_begins_with_what_comes_first():
    positions = Positions()

    assert noted(positions, 41, 42, 44) == [0, 0, 1]


def test_a_message_before_the_baseline_stands():
    positions = Positions()
    noted(positions, 6, 7)

    positions.synced(STREAM, {"t": 5})

    assert noted(positions, 9) == [1]


def test_topics_are_numbered_apart():
    positions = synced()

    assert noted(positions, 1, 2, topic="a") == [0, 0]
    assert noted(positions, 1, 3, topic="b") == [0, 1]


def test_streams_are_numbered_apart():
    positions = synced()
    positions.synced(OTHER, {})

    assert noted(positions, 5) == [4]
    assert noted(positions, 1, stream=OTHER) == [0]


def test_another_subscription_begins_anywhere_until_it_is_vouched_for():
    positions = synced()
    noted(positions, 1)

    positions.unsettled()

    assert noted(positions, 30, topic="new") == [0]
    assert noted(positions, 3) == [1]  # what was followed already goes on


def test_who_resumes_counts_what_was_published_meanwhile():
    before = synced()
    noted(before, 1, 2)

    after = Positions()
    after.resume(before.last)
    after.synced(STREAM, {"t": 9, "began": 3})

    assert noted(after, 10) == [7]
    assert noted(after, 4, topic="began") == [3]
    assert counts(after) == (2, 10)


def test_a_stream_that_began_since_is_not_resumed():
    after = Positions()
    after.resume({(STREAM, "t"): 2})
    after.synced(OTHER, {"t": 9})

    assert noted(after, 10, stream=OTHER) == [0]


def test_positions_are_bounded_and_the_oldest_stream_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(streams, "POSITIONS_LIMIT", 10)
    positions = synced()
    for number in range(10):
        noted(positions, 1, topic=f"t{number}")
    positions.synced(OTHER, {})

    noted(positions, 1, stream=OTHER)

    assert positions.last == {(OTHER, "t"): 1}
    assert noted(positions, 50) == [0]  # forgotten: it begins with what comes first


@pytest.mark.parametrize("by", ["note", "synced"])
def test_no_number_of_streams_and_topics_grows_past_the_bound(monkeypatch, by):
    monkeypatch.setattr(streams, "POSITIONS_LIMIT", 10)
    positions = Positions()
    for stream in range(100):
        if by == "synced":
            positions.synced(stream, {f"t{n}": 1 for n in range(7)})
        else:
            for number in range(7):
                noted(positions, 1, stream=stream, topic=f"t{number}")

    assert len(positions.last) <= 10


# -- whatever arrives -------------------------------------------------------------------------


@st.composite
def arrivals(draw):
    """Topics with a baseline and a number published after it, and who of those arrive in order."""
    topics = draw(st.lists(st.text(max_size=3), min_size=1, max_size=4, unique=True))
    baseline, published, arrived = {}, {}, []
    for topic in topics:
        start = draw(st.integers(0, 20))
        if start:
            baseline[topic] = start
        count = draw(st.integers(1, 30))
        published[topic] = count
        numbers = range(start + 1, start + count + 1)
        came = draw(st.sets(st.sampled_from(numbers)))
        arrived.append([(topic, number) for number in sorted({*came, numbers[-1]})])
    return baseline, published, draw(interleaved(arrived))


@st.composite
def interleaved(draw, rows):
    """Mix lists, each kept in its own order."""
    rows, mixed = [list(row) for row in rows if row], []
    while rows:
        row = draw(st.sampled_from(rows))
        mixed.append(row.pop(0))
        rows = [row for row in rows if row]
    return mixed


@given(arrivals())
def test_received_and_missed_are_all_that_was_published_once_the_last_message_is_here(drawn):
    baseline, published, arrived = drawn
    positions = synced(baseline)

    for topic, number in arrived:
        positions.note(STREAM, topic, number)

    assert positions.received_count == len(arrived)
    assert sum(counts(positions)) == sum(published.values())


@pytest.mark.slow
@given(arrivals(), st.data())
def test_it_makes_no_difference_when_the_baseline_is_told(drawn, data):
    baseline, _, arrived = drawn
    # Nothing that came before the word was missed: the subscription was known by then.
    whole = [
        (topic, number)
        for topic in {topic for topic, _ in arrived}
        for number in range(baseline.get(topic, 0) + 1, max(n for t, n in arrived if t == topic))
    ]
    told_at = data.draw(st.integers(0, len(whole)))
    positions = Positions()
    for at, (topic, number) in enumerate(whole):
        if at == told_at:
            positions.synced(STREAM, baseline)
        positions.note(STREAM, topic, number)

    assert positions.missed_count == 0


@given(st.data())
def test_two_processes_together_count_each_message_once_or_as_missed(data):
    published = data.draw(st.integers(2, 60))
    cut = data.draw(st.integers(1, published - 1))
    came = data.draw(st.sets(st.integers(1, published))) | {1, published}
    first, second = synced(), Positions()
    for number in sorted(n for n in came if n <= cut):
        first.note(STREAM, "t", number)

    second.resume(first.last)
    second.synced(STREAM, {"t": cut})
    for number in sorted(n for n in came if n > cut):
        second.note(STREAM, "t", number)

    assert sum(counts(first)) + sum(counts(second)) == published

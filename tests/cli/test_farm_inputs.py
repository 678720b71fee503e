"""Inputs of a farm: lines in whatever pieces they come, and those that are done left out."""

import random

import pytest

from actormq.cli.farm import inputs
from actormq.cli.farm.done import Done
from actormq.cli.farm.inputs import Lines, checked_inputs, inputs_of
from actormq.errors import SetupError


def cut(*blocks):
    lines = Lines()
    return [line for block in [*blocks, b""] for line in lines.feed(block)]


@pytest.mark.parametrize(
    ("blocks", "lines"),
    [
        ([], []),
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a\nb"], ["a", "b"]),  # the last one need not be ended
        ([b"a", b"b\nc", b"\n", b"d"], ["ab", "c", "d"]),
        ([b"a\r\nb\r\n\r\n"], ["a", "b"]),
        ([b"\n\na\n\n"], ["a"]),
        ([b" a b \n"], [" a b "]),
        (["ä\n".encode()[:1], "ä\n".encode()[1:]], ["ä"]),  # cut in the middle of a letter
    ],
)
def test_a_line_is_an_input_in_whatever_pieces_it_comes(blocks, lines):
    assert cut(*blocks) == lines


def test_a_line_that_is_no_text_is_named_by_its_number():
    with pytest.raises(SetupError, match=r"standard input, line 3: no UTF-8 text"):
        cut(b"a\n", b"\nb\xff\n")


def test_a_line_without_an_end_is_not_gathered_for_ever(monkeypatch):
    monkeypatch.setattr(inputs, "LINE_LIMIT", 10)
    assert cut(b"0123456789\n") == ["0123456789"]
    with pytest.raises(SetupError, match=r"standard input, line 2: longer than 10 bytes"):
        cut(b"a\n012345", b"67890", b"1")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["-", "a", "-"], "- is standard input, which can be read once"),
        (["a", "b\udcff"], r"input 'b\\udcff' is no UTF-8 text"),
    ],
)
def test_words_that_cannot_be_inputs_are_refused(given, says):
    checked_inputs(["a", "-"])
    with pytest.raises(SetupError, match=says):
        checked_inputs(given)


async def test_inputs_that_are_done_are_left_out_as_often_as_they_are_done():
    done = Done([["a", "b", "a"], ["a", "z"]])
    given = ["a", "c", "a", "b", "a", "a", "b"]
    assert [each async for each in inputs_of(given, done)] == ["c", "a", "b"]
    assert len(done._held) == 1  # z, which is not given any more


def test_of_those_that_are_done_few_are_held_where_the_order_is_nearly_the_same():
    chance, order = random.Random(1), list(range(5_000))
    for at in range(0, 5_000, 50):
        order[at : at + 50] = chance.sample(order[at : at + 50], 50)
    cut = order[:4_000]
    done = Done([str(n) for n in cut[at : at + 10]] for at in range(0, 4_000, 10))
    held = 0
    for number in range(5_000):
        assert done.take(str(number)) is (number < 4_000)
        held = max(held, len(done._held))
    assert held <= 60

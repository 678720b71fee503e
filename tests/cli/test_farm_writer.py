"""Lines are written in groups, in a thread, in their order, and none behind a gap."""

import asyncio
import threading

import pytest

from actormq.cli.farm import writer
from actormq.cli.farm.results import Earlier
from actormq.cli.farm.writer import Writer
from actormq.errors import SetupError


class Kept:
    """An output that keeps what it gets; it may be told to wait, or to fail."""

    name = "kept"
    earlier = Earlier()

    def __init__(self):
        self.groups = []
        self.threads = set()
        self.door = threading.Event()
        self.door.set()
        self.error = None

    def put(self, lines):
        self.threads.add(threading.current_thread())
        assert self.door.wait(10)
        if self.error is not None:
            raise self.error
        self.groups.append(lines)

    def close(self): ...


async def test_lines_are_out_soon_however_few_they_are(until, monkeypatch):
    monkeypatch.setattr(writer, "INTERVAL", 0.001)
    kept = Kept()
    lines = Writer(kept)
    await lines.write(b"a\n")
    await until(lambda: kept.groups == [b"a\n"])
    await lines.write(b"b\n")
    await until(lambda: kept.groups == [b"a\n", b"b\n"])
    assert threading.current_thread() not in kept.threads
    await lines.close()


async def test_many_lines_are_few_writes_in_their_order(monkeypatch):
    monkeypatch.setattr(writer, "GROUP", 100)
    kept = Kept()
    lines = Writer(kept)
    given = [b"%d\n" % n for n in range(200)]
    for line in given:
        await lines.write(line)
    await lines.close()
    assert b"".join(kept.groups) == b"".join(given)
    assert 3 <= len(kept.groups) < 12


async def test_a_slow_output_holds_up_whoever_writes_and_loses_nothing_if_that_one_gives_up(
    monkeypatch, until
):

    monkeypatch.setattr(writer, "GROUP", 1)
    kept = Kept()
    kept.door.clear()
    lines = Writer(kept)
    first = asyncio.ensure_future(lines.write(b"a\n"))
    await until(lambda: kept.threads)
    second = asyncio.ensure_future(lines.write(b"b\n"))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    kept.door.set()
    await lines.close()
    assert kept.groups == [b"a\n", b"b\n"]


async def test_what_went_wrong_after_the_last_line_is_said_at_the_end(monkeypatch, until):
    monkeypatch.setattr(writer, "INTERVAL", 0.001)
    kept = Kept()
    kept.error = SetupError("full")
    kept.door.clear()
    lines = Writer(kept)
    await lines.write(b"a\n")
    await until(lambda: kept.threads)
    closing = asyncio.ensure_future(lines.close())  # which cancels whoever waits for that thread
    await asyncio.sleep(0)
    kept.door.set()
    with pytest.raises(SetupError, match="full"):
        await closing


async def test_what_went_wrong_with_lines_whose_writer_was_cancelled_is_said_at_the_end(
    monkeypatch, until
):
    monkeypatch.setattr(writer, "GROUP", 1)
    kept = Kept()
    kept.error = SetupError("full")
    kept.door.clear()
    lines = Writer(kept)
    first = asyncio.ensure_future(lines.write(b"a\n"))
    await until(lambda: kept.threads)
    first.cancel()
    await asyncio.wait([first])
    kept.door.set()
    with pytest.raises(SetupError, match="full"):
        await lines.close()


async def test_nothing_is_written_behind_what_could_not_be(monkeypatch):
    monkeypatch.setattr(writer, "GROUP", 1)
    kept = Kept()
    kept.error = SetupError("full")
    lines = Writer(kept)
    with pytest.raises(SetupError, match="full"):
        await lines.write(b"a\n")
    kept.error = None
    await lines.write(b"b\n")
    await lines.close()
    assert kept.groups == []

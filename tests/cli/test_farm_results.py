"""Results as lines of JSON: what stands in them, and how a next run finds them again."""

import datetime as dt
import json
import math
import os
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from actormq.cli.farm.results import (
    Earlier,
    ResultFile,
    StandardOutput,
    error_line,
    result_line,
)
from actormq.errors import SetupError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.jsonl"


def opened(path, *, resume=False):
    return ResultFile(str(path), resume=resume)


ONE = uuid.UUID(int=1)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        ({"a": [1, 2.5, True]}, {"a": [1, 2.5, True]}),
        (2**70, 2**70),
        (b"\xff\x00", "/wA="),
        (math.nan, None),
        (math.inf, None),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (ONE, str(ONE)),
        (Decimal("0.10"), "0.10"),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (1j, "1j"),
        ({1: {(1, 2): 3}}, {"1": {"(1, 2)": 3}}),
        ({"a": ["\ud800"]}, {"a": ["\\ud800"]}),
    ],
)
def test_a_result_is_an_object_of_one_line_whatever_it_is(value, written):
    line = result_line("in\nput", value, 2)
    assert line.index(b"\n") == len(line) - 1
    assert json.loads(line) == {"input": "in\nput", "result": written, "tries": 2}


def test_arrays_are_lists():
    numpy = pytest.importorskip("numpy", reason="no numpy for this Python")
    line = result_line("a", {"b": numpy.arange(4).reshape(2, 2)}, 1)
    assert json.loads(line)["result"] == {"b": [[0, 1], [2, 3]]}


def test_a_failure_has_an_error_in_place_of_a_result():
    line = error_line("a", "OSError: gone", 4)
    failed = {"input": "a", "error": "OSError: gone", "tries": 4}
    assert json.loads(line) == failed
    line = error_line("a", "OSError: gone", 4, "Traceback: ...")
    assert json.loads(line) == {**failed, "traceback": "Traceback: ..."}


def test_a_next_run_goes_on_with_the_whole_lines_of_a_file(path):
    file = opened(path)
    file.put(result_line("a", 1, 1) + error_line("b", "gone", 4))
    file.put(result_line("a", 2, 1))
    file.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"input":"c","resu')
    file = opened(path, resume=True)
    assert file.earlier == Earlier(done=3, failed=1, cut=18)
    assert [file.done.take(each) for each in "aaabc"] == [True, True, False, True, False]
    file.put(result_line("c", 3, 1))
    file.close()
    assert path.read_bytes() == whole + result_line("c", 3, 1)


@pytest.mark.parametrize("size", range(0, 61, 4))
def test_wherever_a_file_was_cut_off_what_is_whole_stands(path, size):
    text = b"".join(result_line(str(n), n, 1) for n in range(2))
    path.write_bytes(text[:size])
    file = opened(path, resume=True)
    file.close()
    whole = text[:size].count(b"\n")
    assert path.read_bytes() == b"".join(text.splitlines(keepends=True)[:whole])
    assert file.earlier.done == whole
    assert file.done.undone(["0", "1"]) == ["0", "1"][whole:]


def test_results_that_are_written_meanwhile_are_none_of_those_before(path):
    path.write_bytes(result_line("a", 1, 1))
    file = opened(path, resume=True)
    file.put(result_line("b", 1, 1))
    assert file.done.undone("bab") == ["b", "b"]
    file.close()


def test_a_file_with_results_is_not_added_to_unless_that_is_asked_for(path):
    path.write_bytes(b"")
    opened(path).close()  # there is nothing in it
    path.write_bytes(result_line("a", 1, 1))
    with pytest.raises(SetupError, match="is there already: go on with it by --resume"):
        opened(path)
    assert path.read_bytes() == result_line("a", 1, 1)


def test_two_runs_do_not_share_a_file(path):
    file = opened(path)
    with pytest.raises(SetupError, match="is being written by another run: wait for it"):
        opened(path, resume=True)
    file.close()
    opened(path, resume=True).close()


@pytest.mark.parametrize(
    "line",
    [b"?", b"[]", b'{"input":1,"result":1,"tries":1}', b'{"input":"a","tries":1}', b"\x00\x00"],
)
def test_what_is_no_result_is_named_and_left_as_it_is(path, line):
    text = result_line("a", 1, 1) + line + b"\n" + result_line("b", 1, 1)
    path.write_bytes(text)
    with pytest.raises(SetupError, match="line 2 is no result of a farm: take another file"):
        opened(path, resume=True)
    assert path.read_bytes() == text


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(SetupError, match="cannot be written: Is a directory"):
        opened(tmp_path)
    with pytest.raises(SetupError, match="cannot be written: No such file or directory"):
        opened(tmp_path / "no" / "file")


def test_a_full_disk_leaves_whole_lines(path, monkeypatch):
    file, line, write = opened(path), result_line("a", 1, 1), os.write
    file.put(line)

    def short(fd, data):  # as a disk does that has room for a few bytes more
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return write(fd, data[:10])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(SetupError, match="No space left on device; what is in it stands: mend"):
        file.put(line)
    monkeypatch.undo()
    assert path.read_bytes() == line
    file.put(line)
    file.close()
    assert path.read_bytes() == line * 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk always full")
def test_a_device_is_written_to_as_it_is():
    opened("/dev/null", resume=True).put(b"line\n")
    with pytest.raises(SetupError, match="/dev/full cannot be written: No space left on device"):
        opened("/dev/full").put(b"line\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk always full")
def test_standard_output_that_is_full_is_said_once(monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SetupError, match=r"^standard output cannot be written: No space left"):
            StandardOutput().put(b"line\n")
        # What Python still holds goes nowhere, and closing the file raises nothing.

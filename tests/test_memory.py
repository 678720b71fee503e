import gc
import mmap
import os
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from actormq.memory import AT_ONCE, Borrowed, Segment, give_back

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="segments are Linux's memfds")
SIZE = 3 * mmap.PAGESIZE


def segments_open():
    links = [one for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    return sum(str(link.readlink()).startswith("/memfd:actormq-") for link in links)


@pytest.fixture
def segment():
    one = Segment(SIZE)
    yield one
    if hasattr(one, "_map"):
        give_back([one])


def borrowed(segment, **other):
    said = {
        "pid": os.getpid(),
        "descriptor": segment.descriptor,
        "name": segment.name,
        "size": segment.size,
    }
    return Borrowed(*(said | other).values())


def test_what_is_written_is_read_and_cannot_be_changed(segment):
    there = borrowed(segment)
    assert segment.write(b"first") == 5
    view = there.read(5)

    assert bytes(view) == b"first"
    assert view.readonly
    with pytest.raises(ValueError, match="read-only"):
        np.frombuffer(view, "u1")[0] = 1


def test_it_is_the_same_memory_each_time(segment):
    view = borrowed(segment).read(5)
    for text in (b"first", b"again"):
        segment.write(text)
        assert bytes(view) == text


@pytest.mark.parametrize(
    "data", [bytearray(b"abc"), memoryview(b"abc"), np.frombuffer(b"abc", "u1").data]
)
def test_any_buffer_can_be_written(segment, data):
    there = borrowed(segment)

    assert bytes(there.read(segment.write(data))) == b"abc"


def test_a_number_of_dimensions_is_only_a_way_to_look_at_bytes(segment):
    array = np.arange(12, dtype="<i4").reshape(3, 4)

    assert bytes(borrowed(segment).read(segment.write(array.data))) == array.tobytes()


def test_it_is_free_once_the_last_view_of_a_view_is(segment):
    segment.lend()
    array = np.frombuffer(borrowed(segment).read(100), "u1")
    part = array[10:20][::2]
    del array
    gc.collect()
    assert not segment.is_free

    del part

    assert segment.is_free


def test_a_segment_is_not_free_while_it_is_lent(segment):
    assert segment.is_free
    segment.lend()
    assert not segment.is_free
    segment.take_back()
    assert segment.is_free


def test_what_is_read_outlives_the_segment_and_who_lent_it(segment):
    there = borrowed(segment)
    segment.write(b"kept")
    view = there.read(4)
    give_back([segment, there])
    del there

    assert bytes(view) == b"kept"


def test_nothing_is_left_open():
    before = segments_open()
    one = Segment(SIZE)
    there = borrowed(one)
    view = there.read(1)
    give_back([one, there])
    del view

    assert segments_open() == before


@pytest.mark.parametrize(("size", "is_here"), [(SIZE, True), (AT_ONCE, False)])
def test_much_memory_is_given_back_in_another_thread(size, is_here):
    segment = Segment(size)
    segments, threads, all_given = [segment, borrowed(segment)], [], threading.Event()

    def given(_):
        threads.append(threading.current_thread())
        if len(threads) == len(segments):
            all_given.set()

    watched = [weakref.ref(one._map, given) for one in segments]
    give_back(segments)

    assert all_given.wait(10.0)
    assert {thread is threading.main_thread() for thread in threads} == {is_here}
    assert [ref() for ref in watched] == [None, None]


def test_without_a_thread_memory_is_given_back_all_the_same(monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    segment = Segment(AT_ONCE)
    watched = weakref.ref(segment._map)
    monkeypatch.setattr(threading.Thread, "start", start)
    give_back([segment])

    assert watched() is None


def test_the_descriptor_is_not_needed_once_another_has_it(segment):
    there = borrowed(segment)
    segment.settle()
    segment.write(b"later")

    assert bytes(there.read(5)) == b"later"


@pytest.mark.parametrize(
    "other", [{"name": "actormq-" + "0" * 32}, {"name": "passwd"}, {"size": SIZE + 1}]
)
def test_nothing_but_the_segment_is_opened(segment, other):
    with pytest.raises(ValueError, match=r"is not the segment|is no sealed segment"):
        borrowed(segment, **other)


def test_a_segment_that_could_shrink_is_not_read():
    name = "actormq-" + "a" * 32
    loose = os.memfd_create(name)
    os.ftruncate(loose, SIZE)
    try:
        with pytest.raises(ValueError, match="no sealed segment"):
            Borrowed(os.getpid(), loose, name, SIZE)
    finally:
        os.close(loose)


def test_one_of_nobody_is_an_error_of_the_system(segment):
    with pytest.raises(OSError, match="No such"):
        borrowed(segment, descriptor=999_999)


def test_where_there_is_no_memory_none_is_taken(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = segments_open()
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        Segment(SIZE)
    assert segments_open() == before


def test_a_segment_cannot_be_made_smaller_so_no_reader_meets_a_missing_page(segment):
    with pytest.raises(PermissionError):
        os.ftruncate(segment.descriptor, 0)

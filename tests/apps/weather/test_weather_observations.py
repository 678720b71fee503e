"""Reading files of observations: good lines, bad lines, and files that are of no use."""

import datetime as dt
import tracemalloc
from importlib import resources

import msgspec
import pytest

from apps.weather.messages import EndOfReplay, Observation, Reading
from apps.weather.observations import (
    LINE_LIMIT,
    NAME_LIMIT,
    ObservationFileError,
    read,
    shipped_data,
)

HEADER = b"date,station,temp,wind\n"
GOOD = b"2012-01-01,Oslo,-3.5,4\n"


@pytest.fixture
def read_bytes(tmp_path):
    """Give a function that writes a file and reads it: observations, and what was skipped."""

    def read_it(content):
        path = tmp_path / "observations.csv"
        path.write_bytes(content)
        skipped = []
        return list(read(path, skipped.append)), skipped

    return read_it


def test_the_shipped_file_reads_without_a_skipped_line():
    skipped = []
    found = list(read(shipped_data(), skipped.append))
    assert len(found) == 2922
    assert skipped == []
    assert found[0] == Observation(
        "Seattle",
        dt.date(2012, 1, 1),
        {"precipitation": 0.0, "temp_max": 12.8, "temp_min": 5.0, "wind": 4.7},
    )


def test_the_shipped_file_and_its_source_are_resources_of_the_package():
    data = resources.files("apps.weather") / "data"
    assert (data / "observations.csv").read_bytes() == shipped_data().read_bytes()
    assert "public domain" in (data / "SOURCE.md").read_text(encoding="utf-8")


def test_observations_survive_the_wire():
    first = next(read(shipped_data()))
    for message in (first, EndOfReplay("Oslo", 3, 1)):
        wire = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
        assert msgspec.convert(wire, Reading) == message


@pytest.mark.parametrize(
    "wire",
    [
        {"type": "observation", "station": "", "date": "2012-01-01", "values": {}},
        {"type": "observation", "station": "Oslo", "date": "2012-01-32", "values": {}},
        {"type": "observation", "station": "Oslo", "date": "2012-01-01", "values": {"t": "x"}},
        {"type": "observation", "station": "Oslo", "date": "2012-01-01", "values": {"t": 1e999}},
        {"type": "rain", "station": "Oslo"},
    ],
)
def test_what_is_no_reading_is_refused_on_arrival(wire):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wire, Reading)


@pytest.mark.parametrize(
    "content",
    [
        HEADER + GOOD,
        b"\xef\xbb\xbf" + HEADER + GOOD,
        (HEADER + GOOD).replace(b"\n", b"\r\n"),
        (HEADER + GOOD).rstrip(b"\n"),
        HEADER + b'"2012-01-01","Oslo","-3.5",4\n',
        b"\n" + HEADER + b"\n \n" + GOOD + b"\n\n",
        b" Date ,STATION,temp,wind\n" + GOOD,
        HEADER + b"2012-01-01T13:00:00Z, Oslo ,-3.5,4\n",
        HEADER + b"2012-01-01 13:00, Oslo , -3.5 ,4\n",
        b"date,station,temp,wind,sky,\n2012-01-01,Oslo,-3.5,4,rain,7\n",
    ],
    ids=["plain", "bom", "crlf", "cut", "quoted", "blank lines", "case", "time", "space",
         "words"],
)  # fmt: skip
def test_usual_forms_of_csv_read_the_same(read_bytes, content):
    expected = Observation("Oslo", dt.date(2012, 1, 1), {"temp": -3.5, "wind": 4.0})
    assert read_bytes(content) == ([expected], [])


@pytest.mark.parametrize(
    ("line", "reason", "station"),
    [
        (b"2012-01-02,Oslo,1", "has 3 columns instead of 4", ""),
        (b"2012-01-02,Oslo,1,2,3", "has 5 columns instead of 4", ""),
        (b"2012-01-32,Oslo,1,2", "not a day as YYYY-MM-DD", "Oslo"),
        (b"20120102,Oslo,1,2", "not a day as YYYY-MM-DD", "Oslo"),
        (b"2012-W01-1,Oslo,1,2", "not a day as YYYY-MM-DD", "Oslo"),
        (b"2012-01-02 noon,Oslo,1,2", "not a day as YYYY-MM-DD", "Oslo"),
        (b",Oslo,1,2", "not a day as YYYY-MM-DD", "Oslo"),
        (b"2012-01-02,Oslo,cold,2", "temp is 'cold', not a finite number", "Oslo"),
        (b"2012-01-02,Oslo,,2", "temp is '', not a finite number", "Oslo"),
        (b"2012-01-02,Oslo,nan,2", "temp is 'nan', not a finite number", "Oslo"),
        (b"2012-01-02,Oslo,1,-inf", "wind is '-inf', not a finite number", "Oslo"),
        (b"2012-01-02,Oslo,1e999,2", "not a finite number", "Oslo"),
        (b"2012-01-02,Oslo,1_000,2", "not a finite number", "Oslo"),
        (b"2012-01-02, ,1,2", "names no station", ""),
        (b"2012-01-02," + b"O" * (NAME_LIMIT + 1) + b",1,2", "a station's name of more than", ""),
        (b"2012-01-02,Osl\xf8,1,2", "is not UTF-8 at byte 15", ""),
        (b"2012-01-02,Oslo,1\0,2", "has a NUL byte in it", ""),
        (b'2012-01-02,"Oslo,1,2', "has a quoted field that is not right", ""),
        (b"x" * (3 * LINE_LIMIT), f"is longer than {LINE_LIMIT} bytes", ""),
    ],
)
def test_a_line_that_cannot_be_read_is_reported_and_the_next_ones_are_read(
    read_bytes, line, reason, station
):
    found, skipped = read_bytes(HEADER + GOOD + line + b"\n" + GOOD + GOOD)
    assert len(found) == 3
    assert len(skipped) == 1
    assert (skipped[0].line, skipped[0].station) == (3, station)
    assert reason in skipped[0].reason


def test_bad_lines_before_the_first_good_one_do_not_decide_what_is_a_number(read_bytes):
    bad = b"2012-01-01,Oslo,1\n2012-01-01,Oslo,nan,\nyesterday,Oslo,1,2\n"
    found, skipped = read_bytes(HEADER + bad + GOOD)
    assert found[0].values == {"temp": -3.5, "wind": 4.0}
    assert [each.line for each in skipped] == [2, 3, 4]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (HEADER, "has a header and no observation under it"),
        (b"2012-01-01,Oslo,1\n", "has no column date (its first line names 2012-01-01, Oslo, 1)"),
        (b"date,place,temp\n" + GOOD, "has no column station"),
        (b"date;station;temp\n", "has no column date (its first line names date;station;temp)"),
        (b"date,station,temp,Temp\n" + GOOD, "names the column Temp twice"),
        (b"date,station,sky\n2012-01-01,Oslo,rain\n", "has no column of numbers"),
        (HEADER + b"a,b\n" * 3, "has 3 lines under its header and none can be read"),
        ("date,station,temp\n".encode("utf-16"), "is no CSV text in UTF-8 (line 1"),
        (b"\x89PNG\r\n\x1a\n", "is no CSV text in UTF-8 (line 1"),
        (b"x" * (LINE_LIMIT + 1), "is no CSV text in UTF-8 (line 1 is longer than"),
    ],
)
def test_a_file_that_is_of_no_use_is_named_with_the_way_out(read_bytes, content, problem):
    with pytest.raises(ObservationFileError) as caught:
        read_bytes(content)
    text = str(caught.value)
    assert text.startswith(caught.value.path + ": ")
    assert problem in text
    assert "; give a CSV file" in text or "; rename" in text
    assert "\n" not in text


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(ObservationFileError, match=r"nothing\.csv: does not exist; give a CSV"):
        list(read(tmp_path / "nothing.csv"))
    with pytest.raises(ObservationFileError, match="is a directory; give a CSV"):
        list(read(tmp_path))
    with pytest.raises(ObservationFileError, match="is not a regular file; give a CSV"):
        list(read("/dev/null"))


@pytest.mark.slow
def test_a_large_file_is_not_loaded(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.write(HEADER)
        file.write(GOOD * 20_000)
        file.write(b"x" * 8_000_000)  # one endless line
    tracemalloc.start()
    try:
        assert sum(1 for _ in read(path)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()

"""Finding the lines of one station."""

import os

import pytest

from apps.weather.index import build, index_of
from apps.weather.observations import ObservationFileError, read, shipped_data

HEADER = b"station,date,temp\n"


@pytest.fixture
def index(tmp_path):
    def build_it(*lines):
        path = tmp_path / "observations.csv"
        path.write_bytes(HEADER + b"".join(line + b"\n" for line in lines))
        return build(path)

    return build_it


def test_each_station_of_the_shipped_file_reads_as_in_a_pass_over_all():
    index = build(shipped_data())
    assert {name: extent.observations for name, extent in index.stations.items()} == {
        "Seattle": 1461,
        "New York": 1461,
    }
    for name in index.stations:
        expected = [each for each in read(shipped_data()) if each.station == name]
        assert list(index.read(name)) == expected


def test_a_zip_code_stands_for_its_station_unless_the_file_has_it_as_a_name(index):
    assert build(shipped_data()).find("98101") == "Seattle"
    assert build(shipped_data()).find("10001") == "New York"
    own = index(b"98101,2012-01-01,1", b"Seattle,2012-01-01,2")
    assert own.find("98101") == "98101"


def test_an_unknown_station_is_answered_with_those_there_are(index):
    with pytest.raises(ObservationFileError) as caught:
        build(shipped_data()).find("Boston")
    assert str(caught.value) == (
        f"{shipped_data()}: has no station 'Boston'; choose one of those it has: New York, Seattle"
    )
    many = index(*(b"s%02d,2012-01-01,1" % number for number in range(50)))
    with pytest.raises(ObservationFileError, match=r"s00, .*, s09 and 40 more$"):
        many.find("98101")


def test_interleaved_stations_with_names_inside_names_are_kept_apart(index):
    mixed = index(
        b"York,2012-01-01,1",
        b"New York,2012-01-01,2",
        b"York,2012-01-02,3",
        b'"New ""York""",2012-01-01,4',
        b"New York,2012-01-02,5",
        b"York,2012-01-03,6",
    )
    figures = {
        name: [each.values["temp"] for each in mixed.read(name)]
        for name in ("York", "New York", 'New "York"')
    }
    assert figures == {"York": [1, 3, 6], "New York": [2, 5], 'New "York"': [4]}


def test_skipped_lines_are_counted_at_the_station_that_they_name(index):
    found = index(
        b"Oslo,2012-01-01,cold",
        b"Oslo,2012-01-02,1",
        b"Rome,2012-01-32,1",
        b"Rome,2012-01-02,1",
        b"Oslo,2012-01-03",
        b"Oslo,2012-01-04,nan",
        b"Kyiv,2012-01-04,nan",
    )
    assert {name: extent.skipped for name, extent in found.stations.items()} == {
        "Oslo": 2,
        "Rome": 1,
    }
    assert (found.observations, found.skipped) == (2, 5)
    assert [each.line for each in found.examples] == [2, 4, 6, 7, 8]


def test_an_index_is_kept_until_the_file_changes(tmp_path):
    path = tmp_path / "observations.csv"
    path.write_bytes(HEADER + b"Oslo,2012-01-01,1\n")
    first = index_of(path)
    assert index_of(str(path)) is first
    path.write_bytes(HEADER + b"Rome,2012-01-01,1\n")
    os.utime(path, ns=(1, 1))  # of the same size, so only its time tells
    assert list(index_of(path).stations) == ["Rome"]


def test_reading_fails_clearly_when_the_file_has_gone(index):
    found = index(b"Oslo,2012-01-01,1")
    found.path.unlink()
    with pytest.raises(ObservationFileError, match="does not exist"):
        list(found.read("Oslo"))
    with pytest.raises(ObservationFileError, match="does not exist"):
        index_of(found.path)

"""What is said of an endpoint that is none."""

import re

import pytest

from actormq import SetupError
from actormq.endpoint import check_endpoint


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [
        ("*:5556", "'*:5556' is no endpoint; take tcp://HOST:PORT"),
        ("http://x:1", "'http://x:1' is no endpoint; take tcp://HOST:PORT"),
        (None, "None is no endpoint"),
        ("tcp://", "names nothing behind tcp://"),
        ("tcp://*", "'tcp://*' lacks a port; write tcp://HOST:PORT"),
        ("tcp://host:", "'tcp://host:' lacks a port"),
        ("tcp://host:http", "'tcp://host:http' lacks a port"),
        ("tcp://:5556", "'tcp://:5556' lacks a host; write tcp://HOST:PORT"),
        ("tcp://host:99999", "99999 in 'tcp://host:99999' is no port: take 1 to 65535"),
        ("tcp://host:-1", "-1 in 'tcp://host:-1' is no port"),
        ("ipc://" + "x" * 108, "is too long: a path has 107 bytes at most"),
    ],
)
def test_what_is_no_endpoint_is_told_by_what_is_wrong_with_it(endpoint, sentence):
    with pytest.raises(SetupError, match=f"door: .*{re.escape(sentence)}"):
        check_endpoint(endpoint, "door")


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://*:5556", "tcp://host:*", "tcp://[::1]:1", "tcp://host:0", "ipc://@x", "inproc://x"],
)
def test_an_endpoint_is_one(endpoint):
    check_endpoint(endpoint, "door")

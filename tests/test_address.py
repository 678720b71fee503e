import re

import msgspec
import pytest

from actormq.address import (
    ActorEntry,
    Address,
    ServiceEntry,
    ipc_endpoint,
    is_own_ipc,
    new_node_id,
)


def test_node_ids_are_16_hex_digits_and_new_each_time():
    ids = {new_node_id() for _ in range(1_000)}

    assert len(ids) == 1_000
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in ids)


@pytest.mark.parametrize(
    "value",
    [
        Address("0123456789abcdef", 3, "greeter"),
        ActorEntry(3, "greeter", "apps.hello:Greeter"),
        ServiceEntry(4, "weather", "XPUB", "msgpack", ("tcp://*:5556",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_addresses_are_values(value):
    same = msgspec.structs.replace(value)

    assert same == value
    assert hash(same) == hash(value)
    assert msgspec.structs.replace(value, serial=99) != value
    with pytest.raises(AttributeError):
        value.serial = 5


def test_an_ipc_endpoint_of_ours_is_known_again():
    assert is_own_ipc(ipc_endpoint("0123456789abcdef"))
    assert is_own_ipc(ipc_endpoint("0123456789abcdef-7"))


@pytest.mark.parametrize(
    "endpoint",
    [
        "ipc:///run/docker.sock",
        "ipc://@other",
        "ipc://",
        ipc_endpoint("../../run/docker.sock"),
        "tcp://127.0.0.1:4711",
    ],
)
def test_any_other_endpoint_is_somebody_elses(endpoint):
    assert not is_own_ipc(endpoint)

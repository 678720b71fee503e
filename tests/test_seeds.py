import pytest

from actormq.errors import SetupError
from actormq.seeds import DnsName, Place, dns_name_of, is_address, place_of, tcp_endpoint


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("192.168.1.20:4711", Place("192.168.1.20", 4711)),
        ("192.168.1.20", Place("192.168.1.20", None)),
        ("bench", Place("bench", None)),
        ("bench.local:1", Place("bench.local", 1)),
        ("my_bench-2.lab.", Place("my_bench-2.lab.", None)),
        ("zähler", Place("zähler", None)),
        ("[fd00::1]:65535", Place("fd00::1", 65_535)),
        ("[fd00::1]", Place("fd00::1", None)),
        ("[fe80::1%eth0]:4711", Place("fe80::1%eth0", 4711)),
        ("tcp://bench:4711", Place("bench", 4711)),
        ("tcp://[::1]:4711", Place("::1", 4711)),
    ],
)
def test_a_place_is_a_host_and_perhaps_a_port(text, place):
    assert place_of(text) == place


@pytest.mark.parametrize(
    "text",
    [
        *("", ":4711", "bench:", "bench:0", "bench:65536", "bench:x", "bench:+1", "bench:1:2"),
        *("4711", "two words", "-v", "udp://bench:1", "bench/x", "bench\n", "b\x1b[2J", "x" * 254),
        *("fd00::1", "fd00::1:4711", "[bench]:1", "[fd00::1", "[fd00::1]4711", "[10.0.0.1]:1"),
    ],
)
def test_what_is_no_place_is_refused_with_what_would_be_one(text):
    with pytest.raises(SetupError, match=r"no HOST or HOST:PORT: take roof, .*\[fd00::1\]:4711"):
        place_of(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nodes.lab", DnsName("nodes.lab")),
        ("nodes.lab:4711", DnsName("nodes.lab", 4711)),
        ("nodes.lab@10.0.0.53", DnsName("nodes.lab", server="10.0.0.53")),
        ("nodes.lab:1@[fd00::53]:54", DnsName("nodes.lab", 1, "fd00::53", 54)),
        ("_link._tcp.nodes.lab", DnsName("_link._tcp.nodes.lab")),
    ],
)
def test_a_name_for_dns_may_have_a_port_and_a_server(text, name):
    assert dns_name_of(text) == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no name for DNS"),
        ("10.0.0.1", "no name for DNS"),
        ("[fd00::1]", "no name for DNS"),
        ("nodes.lab@", "no name for DNS"),
        ("nodes.lab:x", "no name for DNS"),
        ("@10.0.0.53", "no name for DNS"),
        ("nodes.lab@server", "named by its address"),
    ],
)
def test_what_is_no_name_for_dns_is_refused(text, says):
    with pytest.raises(SetupError, match=says):
        dns_name_of(text)


def test_a_name_has_the_services_of_its_own_or_is_one():
    assert dns_name_of("nodes.lab").services == "_actormq._tcp.nodes.lab"
    assert dns_name_of("_link._tcp.nodes.lab").services == "_link._tcp.nodes.lab"


def test_addresses_are_told_from_names():
    found = {text: is_address(text) for text in ("10.0.0.1", "::1", "fe80::1%eth0", "b", "10.1")}
    assert [text for text, is_one in found.items() if is_one] == ["10.0.0.1", "::1", "fe80::1%eth0"]


def test_ipv6_gets_its_brackets_in_an_endpoint():
    assert tcp_endpoint("fd00::1", 5) == "tcp://[fd00::1]:5"
    assert tcp_endpoint("bench", 5) == "tcp://bench:5"

"""Multicast endpoints are refused where libzmq would end the process; epgm carries messages.

Interfaces, ports and rights are real: those of this host, or of a network namespace made for it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import zmq

from actormq.errors import PortInUse, SetupError
from actormq.multicast import (
    RATE_KBITS,
    REPAIR_SECONDS,
    Multicast,
    Pace,
    addressed,
    check_host,
    check_multicast,
    parsed,
)

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "epgm"
PGM_PYTHON = ROOT / ".venv" / "pgm" / "bin" / "python"
GROUP = "239.192.1.1"
CANNOT = 77  # the status of a script that cannot run here
IP = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


# -- form -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "parts"),
    [
        ("epgm://10.0.0.5;239.192.1.1:5555", ("epgm", "10.0.0.5", "239.192.1.1", 5555)),
        ("pgm://eth0.100;224.0.0.1:1", ("pgm", "eth0.100", "224.0.0.1", 1)),
        ("epgm://wlan0:1;239.255.255.255:65535", ("epgm", "wlan0:1", "239.255.255.255", 65535)),
    ],
)
def test_an_endpoint_is_taken_apart_and_written_again(endpoint, parts):
    assert parsed(endpoint, "feed") == Multicast(*parts)
    assert str(parsed(endpoint, "feed")) == endpoint


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        ("", "write epgm://INTERFACE;GROUP:PORT"),
        (":5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5:5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5;5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5;239.192.1.1", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5;:5555", "write epgm://INTERFACE;GROUP:PORT"),
        (";239.192.1.1:5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("239.192.1.1:5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5 ;239.192.1.1:5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5,10.0.0.6;239.192.1.1:5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5;239.192.1.1,239.192.1.2:5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5;239.192.1.1;239.192.1.2:5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5;239.192.1.1;239.192.1.2;239.192.1.3:5555", "write epgm://INTERFACE;GROUP:PORT"),
        ("10.0.0.5;10.0.0.6:5555", "'10.0.0.6' in "),
        ("10.0.0.5;223.255.255.255:5555", "is no IPv4 multicast address"),
        ("10.0.0.5;240.0.0.0:5555", "is no IPv4 multicast address"),
        ("10.0.0.5;239.192.1:5555", "is no IPv4 multicast address"),
        ("10.0.0.5;239.192.1.256:5555", "is no IPv4 multicast address"),
        ("10.0.0.5;239.192.1.01:5555", "is no IPv4 multicast address"),
        ("10.0.0.5;all-systems:5555", "is no IPv4 multicast address"),
        ("10.0.0.5;ff02::1:5555", "is no IPv4 multicast address"),
        ("10.0.0.5;239.192.1.1:", "'' in "),
        ("10.0.0.5;239.192.1.1:*", "'*' in "),
        ("10.0.0.5;239.192.1.1:0", "is no port from 1 to 65535"),
        ("10.0.0.5;239.192.1.1:65536", "is no port from 1 to 65535"),
        ("10.0.0.5;239.192.1.1:99999999999", "is no port from 1 to 65535"),
        ("10.0.0.5;239.192.1.1:-1", "is no port from 1 to 65535"),
        ("10.0.0.5;239.192.1.1:5555x", "is no port from 1 to 65535"),
        ("10.0.0.5;239.192.1.1:\u0665\u0665", "is no port from 1 to 65535"),
    ],
)
@pytest.mark.parametrize("scheme", ["epgm://", "pgm://"])
def test_what_is_no_multicast_endpoint_is_refused_in_one_sentence(scheme, rest, complaint):
    for check in (parsed, check_multicast, addressed):
        with pytest.raises(SetupError) as caught:
            check(scheme + rest, "Publisher")
        sentence = str(caught.value)
        assert sentence.startswith("Publisher: ")
        assert complaint in sentence
        assert repr(scheme + rest) in sentence
        assert "\n" not in sentence


# -- the library ----------------------------------------------------------------------------------


@pytest.mark.skipif(zmq.has("pgm"), reason="this libzmq has pgm")
def test_a_libzmq_without_pgm_is_named_as_the_cause():
    with pytest.raises(
        SetupError, match=r"built without pgm; docs/patterns\.md tells how"
    ) as found:
        check_multicast(f"epgm://127.0.0.1;{GROUP}:5555", "station.feed")
    assert str(found.value).startswith("station.feed: epgm://127.0.0.1;")


# -- this host ------------------------------------------------------------------------------------


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def loopback():
    return next(
        name
        for name, entries in psutil.net_if_addrs().items()
        if any(entry.address == "127.0.0.1" for entry in entries)
    )


def endpoint(interface, port=None, scheme="epgm"):
    return f"{scheme}://{interface};{GROUP}:{port or free_port()}"


def test_an_interface_of_this_host_passes_by_address_and_by_name():
    for interface in ("127.0.0.1", loopback()):
        check_host(parsed(endpoint(interface), "feed"), "feed")


def test_an_interface_that_is_named_is_given_to_libzmq_by_its_address():
    assert addressed(endpoint(loopback(), 5555), "feed") == endpoint("127.0.0.1", 5555)
    assert addressed(endpoint("127.0.0.1", 5555), "feed") == endpoint("127.0.0.1", 5555)


@pytest.mark.parametrize(
    "interface", ["203.0.113.77", "0.0.0.0", "127.0.0.0", "*", "nosuch0", "::1"]
)
def test_an_interface_of_another_host_is_refused_and_ours_are_named(interface):
    for check in (check_host, addressed):
        wanted = endpoint(interface, 5555)
        with pytest.raises(SetupError) as caught:
            check(parsed(wanted, "feed") if check is check_host else wanted, "feed")
        assert f"{interface!r} in {wanted!r} is none of this host's interfaces" in str(caught.value)
        assert f"{loopback()} (127.0.0.1" in str(caught.value)


def test_a_port_that_another_program_holds_is_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        wanted = endpoint("127.0.0.1", other.getsockname()[1])
        with pytest.raises(PortInUse, match="in use by another program"):
            check_host(parsed(wanted, "feed"), "feed")
    check_host(parsed(wanted, "feed"), "feed")


def test_a_port_is_shared_among_multicast_sockets():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("", 0))
        check_host(parsed(endpoint("127.0.0.1", other.getsockname()[1]), "feed"), "feed")


CHECK = """
import json, os, sys
import psutil  # nobody may be unable to read it
from actormq.errors import SetupError
from actormq.multicast import check_host, parsed
if os.geteuid() == 0 and sys.argv[1] == "nobody":
    os.setuid(65534)
found = []
for endpoint in sys.argv[2:]:
    try:
        check_host(parsed(endpoint, "feed"), "feed")
        found.append("")
    except SetupError as error:
        found.append(str(error))
print(json.dumps(found))
"""


def verdicts(who, endpoints, *prefix):
    command = [*prefix, sys.executable, "-c", CHECK, who, *endpoints]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_what_only_root_may_have_is_refused_to_others():
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not first.exists() or int(first.read_text()) <= 81:
        pytest.skip("every user may have ports below 1024 here")
    wanted = [
        endpoint("127.0.0.1"),
        endpoint("127.0.0.1", 81),
        endpoint("127.0.0.1", scheme="pgm"),
    ]
    assert verdicts("nobody", wanted) == [
        "",
        f"feed: {wanted[1]}: ports below 1024 are for root",
        f"feed: {wanted[2]}: raw sockets are for root",
    ]


@pytest.fixture
def namespace():
    """A network namespace with interfaces that cannot do it: down, without address, and so on."""
    if os.geteuid() != 0 or IP is None:
        pytest.skip("making network namespaces takes root and iproute2's ip")
    name = f"multicast-{os.getpid()}"

    def ip(*arguments):
        return subprocess.run([IP, *arguments], capture_output=True, text=True, check=False)

    made = ip("netns", "add", name)
    if made.returncode != 0:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    try:
        for number, kind in enumerate(("good", "down", "bare", "deaf")):
            steps = [
                ("link", "add", f"{kind}0", "type", "veth", "peer", "name", f"{kind}1"),
                ("addr", "add", f"10.77.{number}.1/24", "dev", f"{kind}0"),
                ("link", "set", f"{kind}0", "up"),
            ]
            for step in steps:
                done = ip("-n", name, *step)
                assert done.returncode == 0, done.stderr
        assert ip("-n", name, "link", "set", "down0", "down").returncode == 0
        assert ip("-n", name, "addr", "flush", "dev", "bare0").returncode == 0
        assert ip("-n", name, "link", "set", "deaf0", "multicast", "off").returncode == 0
        yield name
    finally:
        ip("netns", "del", name)


@pytest.mark.slow
def test_an_interface_that_cannot_join_is_refused_with_the_reason(namespace):
    wanted = [
        endpoint(interface, 5555)
        for interface in ("good0", "10.77.0.1", "10.77.0.0", "down0", "10.77.1.1", "bare0", "deaf0")
    ]
    found = verdicts("root", wanted, IP, "netns", "exec", namespace)
    assert found[:2] == ["", ""]
    assert "'10.77.0.0' in" in found[2]
    assert "is none of this host's interfaces" in found[2]
    assert found[3:5] == ["feed: interface 'down0' is down; switch it on, or take another"] * 2
    assert f"'bare0' in {wanted[5]!r} has no IPv4 address; there are " in found[5]
    assert "good0 (10.77.0.1)" in found[5]
    assert found[6] == "feed: interface 'deaf0' does not do multicast; take another"


# -- the end of a socket --------------------------------------------------------------------------

SECOND = int(0.9 * RATE_KBITS * 125) - 16  # bytes of a frame that takes a second to send


@pytest.mark.parametrize(
    ("sent", "now", "remaining"),
    [
        ([], 100.0, 0.0),
        ([([SECOND], 100.0)], 100.0, 1.0 + REPAIR_SECONDS),
        ([([SECOND], 100.0)], 100.5, 0.5 + REPAIR_SECONDS),
        ([([SECOND], 100.0)], 200.0, 0.0),
        ([([SECOND], 100.0), ([SECOND], 100.0)], 100.0, 2.0 + REPAIR_SECONDS),  # in turn
        ([([SECOND, SECOND], 100.0)], 100.0, 2.0 + REPAIR_SECONDS),  # a frame after the other
        ([([SECOND], 100.0), ([SECOND], 103.0)], 103.0, 1.0 + REPAIR_SECONDS),  # idle between
    ],
)
def test_a_socket_stays_open_until_its_messages_have_left_and_could_be_repeated(
    sent, now, remaining
):
    pace = Pace()
    for sizes, at in sent:
        pace.sent(sizes, at)
    assert pace.remaining(now) == pytest.approx(remaining)


# -- the real thing -------------------------------------------------------------------------------

ABORT = """
import resource, sys, zmq
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
context = zmq.Context()
opened = context.socket(getattr(zmq, sys.argv[1]))
opened.connect(sys.argv[2])
opened.close(0)
context.term()  # waits for the thread in which libzmq joins the group
"""


@pytest.fixture(scope="module")
def shown():
    """What `scripts/epgm` prints; it builds the pyzmq that the tests below need."""
    command = [str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    if done.returncode == CANNOT:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    return done


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_actors_and_plain_programs_lose_nothing_over_multicast(shown):
    assert (shown.returncode, shown.stdout.splitlines()) == (
        0,
        [
            "actormq -> actormq: 1000 of 1000",
            "actormq -> pyzmq: 1000 of 1000",
            "pyzmq -> actormq: 1000 of 1000",
            "actormq -> actormq, msgpack: 1000 of 1000",
            "actormq -> actormq, pgm: 1000 of 1000",
        ],
    ), shown.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["PUB", "SUB"])
@pytest.mark.parametrize(
    "rest",
    [
        "127.0.0.1;239.192.1.1:{held}",
        "127.0.0.1;239.192.1.1;239.192.1.2;239.192.1.3:{free}",
        "127.0.0.1,127.0.0.1;239.192.1.1:{free}",
    ],
)
def test_what_ends_a_process_of_plain_libzmq_is_refused(shown, rest, kind):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        fatal = f"epgm://{rest.format(held=other.getsockname()[1], free=free_port())}"
        with pytest.raises(SetupError):
            check_host(parsed(fatal, "feed"), "feed")
        command = [str(PGM_PYTHON), "-c", ABORT, kind, fatal]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGABRT, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_passes_does_not_end_a_process_of_plain_libzmq(shown):
    wanted = endpoint("127.0.0.1")
    check_host(parsed(wanted, "feed"), "feed")
    for kind in ("PUB", "SUB"):
        command = [str(PGM_PYTHON), "-c", ABORT, kind, wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_show_that_is_interrupted_takes_its_networks_away(shown, number, status):
    pipe = subprocess.PIPE
    with subprocess.Popen([SCRIPT], stdout=pipe, text=True, start_new_session=True) as show:
        assert show.stdout.readline() == "actormq -> actormq: 1000 of 1000\n"
        names = [f"epgm-{show.pid}-near", f"epgm-{show.pid}-far"]
        listed = subprocess.run([IP, "netns", "list"], capture_output=True, text=True, check=True)
        assert all(name in listed.stdout for name in names)
        os.killpg(show.pid, number)
        show.stdout.read()  # ends when the last of its programs has
        assert show.wait() == status
    listed = subprocess.run([IP, "netns", "list"], capture_output=True, text=True, check=True)
    assert not any(name in listed.stdout for name in names)

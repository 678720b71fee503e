"""scripts/lan makes hosts that reach each other, and lets nothing pass where it was cut."""

import contextlib
import itertools
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import lan
import lan_hosts
import lan_switch
import pytest
from lan_nodes import FAMILY

LAN = Path(__file__).parents[2] / "scripts" / "lan"
PORT, GROUP = 7000, "239.192.7.7"
COMES, LATE = 5.0, 0.08  # s for what comes, and after which nothing does
DEAD_PID = 2**22 + 1  # above what Linux gives to any process

pytestmark = pytest.mark.slow


def on_host(lan, host, action):
    """Do something in a thread that is on a host."""
    results = []

    def run():
        with (lan_hosts.NAMESPACES / lan.namespace(host)).open("rb") as namespace:
            lan_switch.enter(namespace.fileno())
        results.append(action())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


class Ear:
    """A host's socket for datagrams, also those for the group."""

    def __init__(self, lan, host):
        self.socket = on_host(lan, host, self._open)
        own = socket.inet_aton(lan.address(host))
        joined = socket.inet_aton(GROUP) + own
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        self.six = on_host(lan, host, lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        self.six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.six.bind((lan.address(host, 6), PORT))
        self.by_family = {4: self.socket, 6: self.six}

    @staticmethod
    def _open():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("", PORT))
        return made

    def hears(self, seconds):
        """One datagram; None if none comes."""
        is_there = select.select([self.socket], [], [], seconds)[0]
        return self.socket.recv(100) if is_there else None

    def close(self):
        self.socket.close()
        self.six.close()


class Ears:
    """Those of all hosts of a LAN."""

    def __init__(self, lan):
        self.lan = lan
        self.all = {host: Ear(lan, host) for host in lan.hosts}
        self._numbers = itertools.count()

    def reach(self, family):
        """Which host reaches which, over IPv4 or IPv6."""
        text = b"%d" % next(self._numbers)
        for one, other in itertools.permutations(self.lan.hosts, 2):
            place = (self.lan.address(other, family), PORT)
            with contextlib.suppress(OSError):  # it knows that its cable is out
                self.all[one].by_family[family].sendto(b"%s from %d" % (text, one), place)
        return {
            (int(heard.partition(b" from ")[2]), host)
            for host, heard in self._heard(family)
            if heard.partition(b" from ")[0] == text
        }

    def _heard(self, family=4):
        """What all hosts hear within a moment."""
        ears = {ear.by_family[family]: host for host, ear in self.all.items()}
        end = time.monotonic() + LATE
        while ready := select.select(list(ears), [], [], max(end - time.monotonic(), 0))[0]:
            for ear in ready:
                yield ears[ear], ear.recv(100)

    def all_ways(self):
        return set(itertools.permutations(self.lan.hosts, 2))

    def come_to_reach(self, ways):
        """Wait until just these hosts reach each other: cards take a moment, neighbours another."""
        end = time.monotonic() + COMES
        for family in (4, 6):
            while (found := self.reach(family)) != ways:
                assert time.monotonic() < end, f"IPv{family}, not as expected: {found ^ ways}"

    def hear_group(self, speaker):
        """Which hosts hear what one says to the group."""
        text = b"group %d" % next(self._numbers)
        self.all[speaker].socket.sendto(text, (GROUP, PORT))
        return {host for host, heard in self._heard() if heard == text}

    def close(self):
        for ear in self.all.values():
            ear.close()


@pytest.fixture(scope="module", params=["bridge", "program"])
def ears(request, new_lan):
    """Four hosts of a LAN of each kind; whole at the start of each test."""
    lan = new_lan(4, shape=lan_hosts.Shape() if request.param == "program" else None)
    opened = Ears(lan)
    yield opened
    opened.close()


@pytest.fixture(name="lan")
def whole_lan(ears):
    ears.lan.heal()
    ears.come_to_reach(ears.all_ways())
    return ears.lan


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (lambda lan: lan.cut(1, 2), {(1, 2), (2, 1)}),
        (lambda lan: lan.cut(1, 2, one_way=True), {(1, 2)}),
        (lambda lan: lan.isolate(4), {(4, 1), (4, 2), (4, 3), (1, 4), (2, 4), (3, 4)}),
        (lambda lan: lan.mute(4), {(4, 1), (4, 2), (4, 3)}),
        (lambda lan: lan.unplug(4), {(4, 1), (4, 2), (4, 3), (1, 4), (2, 4), (3, 4)}),
        (
            lambda lan: lan.partition([1, 2], [3, 4]),
            {*itertools.product((1, 2), (3, 4)), *itertools.product((3, 4), (1, 2))},
        ),
        (lambda lan: lan.bridge([2]), {(1, 3), (3, 1), (1, 4), (4, 1)}),
    ],
    ids=["cut", "one way", "isolate", "mute", "unplug", "partition", "bridge"],
)
def test_what_was_cut_is_lost_and_nothing_else_until_it_is_healed(ears, lan, fault, lost):
    fault(lan)
    ears.come_to_reach(ears.all_ways() - lost)
    lan.heal()
    ears.come_to_reach(ears.all_ways())


def test_multicast_passes_until_it_is_blocked_and_nothing_else_is(ears, lan):
    assert ears.hear_group(1) == {2, 3, 4}
    lan.block_multicast(3)
    assert ears.hear_group(1) == {2, 4}
    assert ears.hear_group(3) == set()
    lan.block_multicast()
    assert ears.hear_group(1) == set()
    ears.come_to_reach(ears.all_ways())


def test_hosts_of_two_lans_have_the_same_addresses_and_do_not_meet(ears, lan, new_lan):
    other = Ears(new_lan(2))
    try:
        assert ears.hear_group(1) == {2, 3, 4}
        assert other.all[2].hears(LATE) is None
    finally:
        other.close()


def test_a_slow_line_is_late_and_keeps_the_order_and_a_lossy_one_loses_its_share(new_lan):
    lan = new_lan(2, shape=lan_hosts.Shape(delay_ms=40, jitter_ms=20))
    ears = Ears(lan)
    one, other = ears.all[1].socket, ears.all[2]
    try:
        one.sendto(b"hello", (lan.address(2), PORT))
        assert other.hears(COMES) == b"hello"
        begun = time.monotonic()
        sent = [struct.pack("I", number) for number in range(50)]
        for text in sent:
            one.sendto(text, (lan.address(2), PORT))
        assert [other.hears(COMES) for _ in sent] == sent
        assert time.monotonic() - begun >= 0.02
        lan.slow(lan_hosts.Shape(loss=0.3))
        for text in sent * 10:
            one.sendto(text, (lan.address(2), PORT))
        heard = 0
        while other.hears(LATE):
            heard += 1
        assert 275 <= heard <= 425  # of 500; seven times the standard deviation
    finally:
        ears.close()


# -- the command ------------------------------------------------------------------------------


@pytest.fixture
def say(capsys):
    """Say something to the command; what it says, on the stream that fits the status."""

    def say(*words, status=0):
        assert lan.main(words) == status
        said = capsys.readouterr()
        assert not (said.err if status == 0 else said.out)
        return said.out or said.err

    return say


@pytest.fixture
def prefix(can_make_lans):
    name = f"{FAMILY}-{os.getpid()}-cli"
    yield name
    if lan_hosts.existing(name):
        lan_hosts.Lan.found(name).down()


def test_a_lan_from_up_to_down_by_command(prefix, say):
    mine = ["--prefix", prefix]
    up = subprocess.run([LAN, *mine, "up", "2"], capture_output=True, text=True, check=False)
    assert (up.stdout.count("\n"), up.stderr, up.returncode) == (2, "", 0)
    say(*mine, "cut", "1", "2", "--one-way")
    say(*mine, "block-multicast")
    assert say(*mine, "list").splitlines()[2:] == ["cut from 1 to 2", "no multicast at 1 2"]
    say(*mine, "heal")
    assert "cut" not in say(*mine, "list")
    assert prefix in say("list", "--all").splitlines()
    for words, sentence in [
        (("up",), f"lan: there is a LAN {prefix!r} already: take it `down`, or another --prefix\n"),
        (("cut", "1", "5"), f"lan: LAN {prefix!r} has hosts 1 to 2, not 5\n"),
        (("slow", "--delay", "5"), "make the LAN with `up --slow`"),
        (("exec", "1"), "lan: exec 1: name the command that shall run there\n"),
    ]:
        assert sentence in say(*mine, *words, status=1)
    with subprocess.Popen([LAN, *mine, "exec", "1", "sleep", "600"]) as sleeper:
        while sleeper.pid not in lan_hosts.Lan.found(prefix).pids(1):
            assert sleeper.poll() is None
            time.sleep(0.01)
        say(*mine, "down")  # and what runs there ends with it
        assert sleeper.wait(COMES) < 0
    assert say(*mine, "list", status=1) == f"lan: there is no LAN {prefix!r}: make one with `up`\n"


def test_a_lan_with_a_program_for_a_switch_takes_it_along(prefix, say):
    mine = ["--prefix", prefix]
    assert '"delay_ms": 2.0' in say(*mine, "up", "1", "--delay", "2", "--loss", "5")
    assert "0 to 100 percent" in say(*mine, "slow", "--loss", "101", status=1)
    say(*mine, "down")
    with pytest.raises(OSError, match="refused"):
        lan_switch.tell(prefix, {"verb": "faults"})


def test_what_a_killed_run_has_left_is_swept_up_and_what_runs_is_not(can_make_lans):
    left, running = f"{FAMILY}-{DEAD_PID}-1", f"{FAMILY}-{os.getpid()}-sweep"
    lans = [lan_hosts.Lan.up(1, prefix) for prefix in (left, running)]
    try:
        assert lan_hosts.sweep(FAMILY) == [left]
        assert lan_hosts.existing(left) == []
        assert len(lan_hosts.existing(running)) == 2
    finally:
        for lan in lans:
            lan.down()


@pytest.mark.parametrize(
    ("attribute", "value", "sentence"),
    [
        ("geteuid", lambda: 1000, "only root can make network namespaces: try sudo"),
        ("_tool", lambda name: name != "nft", "on Debian and Ubuntu, apt-get install nftables"),
        ("_tool", lambda name: name != "ip", "on Debian and Ubuntu, apt-get install iproute2"),
    ],
)
def test_what_is_lacking_is_named_with_the_way_out(monkeypatch, attribute, value, sentence):
    monkeypatch.setattr(lan_hosts.os, "geteuid", lambda: 0)
    where = lan_hosts.os if attribute == "geteuid" else lan_hosts
    monkeypatch.setattr(where, attribute, value)
    if sys.platform.startswith("linux"):
        assert sentence in lan_hosts.lack()

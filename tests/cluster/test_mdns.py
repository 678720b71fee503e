"""Real multicast on loopback. Other suites may share the group: each test looks at its own mesh."""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import subprocess
import sys
import time

import msgspec
import pytest
from granted import Granted
from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from actormq.cluster.discovery import Announcement, AnnouncementError, Discovery, to_txt
from actormq.cluster.mdns import SERVICE_TYPE, Mdns

DEADLINE = 25.0  # s; all of it takes one or two
INTERVAL = 0.1  # s, in place of 3


def new_mesh():
    return f"test-{secrets.token_hex(8)}"


def told(mesh, name="roof", endpoints=("tcp://127.0.0.1:49152", "ipc://@actormq-1")):
    return Announcement(mesh, secrets.token_hex(8), name, "loopback:0", endpoints, 1)


class Watch:
    """One Mdns and a queue of what it found in the meshes of this test."""

    def __init__(self, *meshes, interval=INTERVAL):
        self.mdns = Mdns(loopback=True, interval=interval)
        self.meshes = meshes
        self.reports = asyncio.Queue()

    async def __aenter__(self):
        await self.mdns.start(self.found)
        return self

    async def __aexit__(self, *_):
        await self.mdns.stop()

    def found(self, announcement):
        if announcement.mesh in self.meshes:
            self.reports.put_nowait(announcement)

    async def until_seen(self, *wanted):
        missing = set(wanted)
        while missing:
            missing.discard(await self.reports.get())

    async def rounds_without(self, absent, *, marker):
        """Wait for two reports of `marker` with none of `absent` between them."""
        quiet = 0
        while quiet < 2:
            report = await self.reports.get()
            quiet = 0 if report == absent else quiet + (report == marker)


def in_time(coroutine):
    async def limited():
        async with asyncio.timeout(DEADLINE):
            await coroutine

    asyncio.run(limited())


@contextlib.asynccontextmanager
async def plain_zeroconf(*services):
    """Register services with zeroconf alone, as a stranger would: instance names and TXT data."""
    stranger = AsyncZeroconf(interfaces=["127.0.0.1"])
    try:
        for instance, text in services:
            info = ServiceInfo(
                SERVICE_TYPE,
                f"{instance}.{SERVICE_TYPE}",
                port=1,
                properties=text,
                server=f"{secrets.token_hex(8)}.local.",
                parsed_addresses=["127.0.0.1"],
                other_ttl=2,
            )
            await stranger.async_register_service(info, cooperating_responders=True)
        yield
    finally:
        await stranger.async_close()


def test_two_nodes_find_each_other():
    async def scene():
        mesh = new_mesh()
        roof, yard = told(mesh, "roof"), told(mesh, "yard")
        async with Watch(mesh) as first, Watch(mesh) as second:
            await first.mdns.announce(roof)
            await second.mdns.announce(yard)
            await first.until_seen(yard)
            await second.until_seen(roof)

    in_time(scene())


def test_five_nodes_find_each_other_whenever_they_come():
    async def scene():
        mesh = new_mesh()
        all_of_us = [told(mesh, f"node{number}") for number in range(5)]
        async with contextlib.AsyncExitStack() as stack:
            watches = []
            for announcement in all_of_us:
                watch = await stack.enter_async_context(Watch(mesh))
                await watch.mdns.announce(announcement)
                watches.append(watch)
            for own, watch in zip(all_of_us, watches, strict=True):
                await watch.until_seen(*set(all_of_us) - {own})

    in_time(scene())


def test_who_is_there_is_reported_again_and_again_and_who_left_is_not():
    async def scene():
        mesh = new_mesh()
        stays, leaves = told(mesh, "stays"), told(mesh, "leaves")
        async with Watch(mesh) as watch, Watch(mesh) as first, Watch(mesh) as second:
            await first.mdns.announce(stays)
            await second.mdns.announce(leaves)
            for _ in range(3):
                await watch.until_seen(stays, leaves)
            await second.mdns.stop()
            await watch.rounds_without(leaves, marker=stays)

    in_time(scene())


def test_who_withdraws_is_not_reported_goes_on_looking_and_may_come_back():
    async def scene():
        mesh = new_mesh()
        marker, shy = told(mesh, "marker"), told(mesh, "shy")
        async with Watch(mesh) as watch, Watch(mesh) as first, Watch(mesh) as second:
            await first.mdns.announce(marker)
            await second.mdns.announce(shy)
            await watch.until_seen(shy)
            await second.mdns.withdraw()
            await watch.rounds_without(shy, marker=marker)
            await second.until_seen(marker)
            await second.mdns.announce(shy)
            await watch.until_seen(shy)

    in_time(scene())


def test_a_node_does_not_find_itself():
    async def scene():
        mesh = new_mesh()
        own, other = told(mesh, "own"), told(mesh, "other")
        async with Watch(mesh) as watch, Watch(mesh) as far:
            await watch.mdns.announce(own)
            await far.until_seen(own)  # it is in the air
            await far.mdns.announce(other)
            await watch.rounds_without(own, marker=other)
            assert own not in watch.reports._queue

    in_time(scene())


def test_other_meshes_are_reported_as_well():
    async def scene():
        mine, foreign = told(new_mesh()), told(new_mesh())
        async with Watch(mine.mesh, foreign.mesh) as watch, Watch() as first, Watch() as second:
            await first.mdns.announce(mine)
            await second.mdns.announce(foreign)
            await watch.until_seen(mine, foreign)

    in_time(scene())


def test_new_endpoints_replace_the_old_ones():
    async def scene():
        mesh = new_mesh()
        before = told(mesh)
        after = msgspec.structs.replace(before, endpoints=("tcp://192.0.2.1:7777",))
        async with Watch(mesh) as watch, Watch(mesh) as node:
            await node.mdns.announce(before)
            await watch.until_seen(before)
            await node.mdns.announce(after)
            await watch.rounds_without(before, marker=after)

    in_time(scene())


def test_a_host_with_many_addresses_is_found_by_early_and_late_comers():
    async def scene():
        mesh = new_mesh()
        # 7.9 kB of TXT: many times an Ethernet frame, and just below what zeroconf sends at all
        ends = tuple(f"tcp://{'station-' * 13}{number}.example.org:49152" for number in range(58))
        large = told(mesh, endpoints=ends)
        async with Watch(mesh) as early, Watch(mesh) as node:
            await node.mdns.announce(large)
            await early.until_seen(large)
            async with Watch(mesh) as late:
                await late.until_seen(large)

    in_time(scene())


def test_more_than_a_record_holds_is_refused_to_the_one_who_announces():
    async def scene():
        async with Watch() as node:
            with pytest.raises(AnnouncementError, match="the limit is 8192"):
                await node.mdns.announce(told(new_mesh(), endpoints=("ipc://" + "x" * 194,) * 64))

    in_time(scene())


def test_hostile_records_are_refused_counted_and_logged_once_and_good_ones_are_found(caplog):
    async def scene():
        mesh = new_mesh()
        good, victim = told(mesh, "good"), told(mesh, "victim")
        hostile = [
            (f"actormq-{secrets.token_hex(8)}", text)
            for text in (
                b"",
                b"\0" * 100,
                os.urandom(300),
                os.urandom(8600),
                b"\x03v=1\x04n=\xff\xff",
                b"\xff" * 20,
                to_txt(victim),  # in another node's name
                to_txt(victim) | {b"n": b"\x1b[2J"},
            )
        ]
        async with Watch(mesh) as watch, Watch(mesh) as node:
            async with plain_zeroconf(*hostile):
                await node.mdns.announce(good)
                await watch.until_seen(good)
                async with Watch(mesh) as late:  # with the hostile ones among the first answers
                    await late.until_seen(good)
                    while late.mdns.refused_count < len(hostile):
                        await late.until_seen(good)
            assert watch.mdns.refused_count >= len(hostile)
            await watch.rounds_without(victim, marker=good)

    with caplog.at_level(logging.INFO, logger="actormq.cluster.mdns"):
        in_time(scene())
    assert 1 <= len(caplog.records) <= 3  # once for each of the three that looked
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.slow
def test_a_record_is_renewed_before_it_ends():
    async def scene():
        mesh = new_mesh()
        node = told(mesh)
        # It lives for 2 s; only our questions make its owner say it again.
        owner = plain_zeroconf((f"actormq-{node.node_id}", to_txt(node)))
        async with Watch(mesh) as watch, owner:
            end = time.monotonic() + 5
            while time.monotonic() < end:
                await watch.until_seen(node)

    in_time(scene())


def test_an_error_in_found_does_not_stop_the_search():
    async def scene():
        mesh = new_mesh()
        first, second = told(mesh, "first"), told(mesh, "second")
        errors = []
        seen = asyncio.Event()

        def found(announcement):
            if announcement == first:
                raise ZeroDivisionError
            if announcement == second:
                seen.set()

        asyncio.get_running_loop().set_exception_handler(lambda _, facts: errors.append(facts))
        watch = Watch()
        watch.found = found
        async with watch, Watch() as one, Watch() as two:
            await one.mdns.announce(first)
            await two.mdns.announce(second)
            for _ in range(3):
                await seen.wait()
                seen.clear()
        assert {type(facts["exception"]) for facts in errors} == {ZeroDivisionError}

    in_time(scene())


def test_stop_takes_less_than_half_a_second_and_may_be_called_twice():
    async def scene():
        for loopback in (True, False):
            mdns = Mdns(loopback=loopback)
            await mdns.stop()
            await mdns.start(lambda _: None)
            # Withdrawn in the same breath, while the announcements are still going out.
            await mdns.announce(told(new_mesh()))
            with Granted() as taken:
                await asyncio.gather(mdns.stop(), mdns.stop())
                await mdns.stop()
            assert taken.seconds < 0.5

    in_time(scene())


def test_it_can_be_started_again_after_a_stop():
    async def scene():
        mesh = new_mesh()
        roof = told(mesh)
        watch = Watch(mesh)
        async with Watch(mesh) as node:
            await node.mdns.announce(roof)
            for _ in range(2):
                async with watch:
                    await watch.until_seen(roof)

    in_time(scene())


def test_calls_in_the_wrong_order_are_told():
    async def scene():
        mdns = Mdns(loopback=True)
        with pytest.raises(RuntimeError, match="was not started"):
            await mdns.announce(told(new_mesh()))
        await mdns.withdraw()
        await mdns.start(lambda _: None)
        with pytest.raises(RuntimeError, match="was started before"):
            await mdns.start(lambda _: None)
        await mdns.stop()

    in_time(scene())


def test_mdns_is_a_discovery():
    source: Discovery = Mdns(loopback=True)

    assert source.refused_count == 0


PROGRAM = """
import asyncio, {extra}
from actormq.cluster.discovery import DiscoveryUnavailable
from actormq.cluster.mdns import Mdns
assert "zeroconf" not in sys.modules, "the import costs 0.1 s and is to wait for start()"
import zeroconf.asyncio

async def main():
    {before}
    try:
        await Mdns(loopback={loopback}).start(print)
    except DiscoveryUnavailable as error:
        print(error)

asyncio.run(main())
"""


def run_program(*prefix, loopback=True, extra="sys", before="pass"):
    program = PROGRAM.format(loopback=loopback, extra=extra, before=before)
    command = [*prefix, sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no resource module")
def test_without_a_socket_to_be_had_it_says_why_and_what_to_do():
    # No descriptor above those that are open: every socket is refused.
    before = "resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), 4096))"

    said = run_program(extra="os, resource, sys", before=before)

    assert said.startswith("mDNS on loopback cannot start ([Errno 24]")
    assert said.endswith("--join HOST:PORT\n")


def can_unshare():
    tool = shutil.which("unshare")
    return tool is not None and subprocess.run([tool, "-rn", "true"], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("loopback", [True, False])
def test_without_an_interface_it_says_why_and_what_to_do(loopback):
    if not can_unshare():
        pytest.skip("no rights to make a network namespace")

    said = run_program("unshare", "-rn", loopback=loopback)

    assert "cannot start (" in said
    assert said.endswith("--join HOST:PORT\n")

"""Memory under pressure: a sender ten times as fast as its receiver, in two processes over tcp.

    python scripts/benchmarks/pressure.py [wait|refuse] [SECONDS]
    python scripts/benchmarks/pressure.py pressure [way=refuse]     as a program of the bench

The sender offers 32 bytes ten times as often as the receiver can handle them. It waits for room
(`await ref.send`), or does not care and is refused (`ref.tell`; it is counted where that happens).
Printed is what both processes have resident, which must not grow once the mailbox is full, and
what became of all messages.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psutil

from actormq import Actor, DeliveryError, Node, Ref, handler
from actormq.settings import Settings

PACE = 0.001  # s that the receiver takes for a message, and the sender for ten
TIMES = 10
SENDERS = 200  # sends that wait at a time
WITHIN = 20.0  # s that a send may wait; it takes less than one
SETTLED = 0.2  # share of the time after which nothing may grow any more
POINTS = 40  # of a curve
LIMIT = Settings().mailbox_limit
PAYLOAD = b"x" * 32


class Slow(Actor):
    """Handles a message in no less than `PACE`."""

    def __init__(self) -> None:
        self.handled = 0

    @handler
    async def take(self, _payload: bytes) -> None:
        """Handle one."""
        await asyncio.sleep(PACE)
        self.handled += 1


class Watch(Actor):
    """Says how its process is."""

    def __init__(self) -> None:
        self.process = psutil.Process()

    @handler
    def resident(self) -> int:
        """Bytes of memory that are resident."""
        return int(self.process.memory_info().rss)

    @handler
    def ledger(self) -> dict[str, Any]:
        """What became of the messages that were offered to this process's actors."""
        ledger = self.node.ledger()
        return {
            "sent": ledger.sent,
            "delivered": ledger.delivered,
            "dropped": dict(ledger.dropped),
            "in_flight": ledger.in_flight,
        }


class Curves(msgspec.Struct):
    """What one run has shown.

    Attributes:
        way: How the sender meets a full mailbox.
        seconds: How long it took.
        offered: Messages that the sender offered.
        refused: Those that the sender itself was told of.
        sender: Bytes that it has resident, from the beginning to the end.
        receiver: Likewise.
        ledger: What the receiver says of its messages.
    """

    way: str
    seconds: float
    offered: int
    refused: int
    sender: list[int]
    receiver: list[int]
    ledger: dict[str, Any]

    def growth(self, curve: list[int]) -> float:
        """How much more the largest point is than the first one that is settled, as a share."""
        settled = curve[int(len(curve) * SETTLED) :]
        return max(settled) / settled[0] - 1


async def receive(place: str, mesh: str, limit: int) -> None:
    """Be the receiver, until standard input ends."""
    logging.disable()  # each refused message would be a line
    async with Node(join=[place], discovery=False, mesh=mesh, mailbox_limit=limit) as node:
        await node.spawn(Slow, "slow")
        await node.spawn(Watch, "watch")
        await asyncio.to_thread(sys.stdin.read)


class Sender:
    """Offers messages at ten times the pace of the receiver."""

    def __init__(self, ref: Ref[Slow]) -> None:
        self._ref = ref.within(WITHIN)
        self.offered = 0
        self.refused = 0

    async def wait(self) -> None:
        """Wait for room with each message, `SENDERS` at a time."""
        await asyncio.gather(*(self._wait() for _ in range(SENDERS)))

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(PACE / TIMES * SENDERS)
            self.offered += 1
            await self._ref.send(Slow.take, PAYLOAD)

    async def refuse(self) -> None:
        """Wait for nothing."""
        begun = time.perf_counter()
        while True:
            await asyncio.sleep(PACE)
            due = int((time.perf_counter() - begun) / PACE * TIMES)
            while self.offered < due:
                self.offered += 1
                try:
                    self._ref.tell(Slow.take, PAYLOAD)
                except DeliveryError:
                    self.refused += 1


async def press(way: str, seconds: float, limit: int = LIMIT) -> Curves:
    """Send for so long, and look at both processes meanwhile.

    Args:
        way: "wait" or "refuse".
        seconds: For how long.
        limit: Messages that the receiver's mailbox holds.
    """
    own, mesh = psutil.Process(), f"pressure-{secrets.token_hex(4)}"
    async with Node(discovery=False, mesh=mesh) as node:
        place = node.address.removeprefix("tcp://")
        command = [sys.executable, __file__, "receive", place, mesh, str(limit)]
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        assert process.stdin is not None
        try:
            sender = Sender(await node.find("slow", timeout=60))
            watch = (await node.find("watch", timeout=60)).within(WITHIN)
            ways: dict[str, Callable[[], Awaitable[None]]]
            ways = {"wait": sender.wait, "refuse": sender.refuse}
            task = asyncio.ensure_future(ways[way]())
            here, there = [], []
            begun = time.perf_counter()
            for point in range(POINTS):
                await asyncio.sleep(begun + seconds * point / POINTS - time.perf_counter())
                here.append(int(own.memory_info().rss))
                there.append(await watch.ask(Watch.resident))
            took = time.perf_counter() - begun
            task.cancel()
            await asyncio.wait([task])
            ledger = await watch.ask(Watch.ledger)
            return Curves(way, took, sender.offered, sender.refused, here, there, ledger)
        finally:
            process.stdin.close()
            await process.wait()


async def round_of(way: str, seconds: float) -> dict[str, Any]:
    """One round of the work `pressure`: the value is the larger growth of the two, as a share."""
    curves = await press(way, seconds)
    growth = max(curves.growth(curves.sender), curves.growth(curves.receiver))
    facts = {"value": growth, "count": curves.offered, **msgspec.structs.asdict(curves)}
    return {key: value for key, value in facts.items() if key != "way"}


@asynccontextmanager
async def pressure(settings: Mapping[str, str]) -> AsyncIterator[Callable[[float], Any]]:
    """The work of that name, as `protocol.serve` wants it."""
    yield lambda seconds: round_of(settings.get("way", "wait"), seconds)


def drawn(curves: Curves) -> str:
    """A run as lines of text."""
    lines = [f"{curves.way}: {curves.offered} offered in {curves.seconds:.0f} s"]
    for who in ("sender", "receiver"):
        curve = getattr(curves, who)
        points = " ".join(f"{point / 1e6:.1f}" for point in curve[:: POINTS // 10])
        lines.append(f"  {who}, MB resident: {points}; {curves.growth(curve):+.1%} once settled")
    lines.append(f"  {json.dumps(curves.ledger)}, refused at the sender: {curves.refused}")
    return "\n".join(lines)


def main() -> None:
    """Run one way, or both."""
    if sys.argv[1:2] == ["receive"]:
        _, _, place, mesh, limit = sys.argv
        asyncio.run(receive(place, mesh, int(limit)))
        return
    if sys.argv[1:2] == ["pressure"]:
        from protocol import serve  # noqa: PLC0415 by itself the script needs nothing beside it

        serve({"pressure": pressure})
        return
    ways = [word for word in sys.argv[1:] if not word.isdigit()] or ["wait", "refuse"]
    seconds = [float(word) for word in sys.argv[1:] if word.isdigit()] or [120.0]
    for way in ways:
        print(drawn(asyncio.run(press(way, seconds[0]))), flush=True)


if __name__ == "__main__":
    main()

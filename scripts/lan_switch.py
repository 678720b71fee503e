"""A switch as a program: carries Ethernet frames between hosts, late, or not at all if so told.

Each host's `eth0` is a TAP, whose other end is a file of this program. A frame goes to the host
whose address it names, as soon as that has been heard from, else to all, as in any switch.

It is told what to do on a Unix socket, one JSON object for each connection and one back.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
from typing import Any

CLONE_NEWNET = 0x40000000  # sched.h
TUNSETIFF, TUNSETCARRIER = 0x400454CA, 0x400454E2  # linux/if_tun.h
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME_BYTES = 65_536
FRAMES_AT_ONCE = 64  # from one host, before the others have their turn
WAITING_LIMIT = 20_000  # frames that are delayed at a time; more are lost, as in any switch
APART = 1e-6  # s between two frames of a line: a loop does not keep the order of equal times
ANSWER = 5.0  # s for the switch to answer; takes 1 ms
GROUP_BIT = 1  # of a frame's first byte: it is for a group, or for all
IPV4, IPV6, UDP = b"\x08\x00", b"\x86\xdd", 17


def address_of(prefix: str) -> bytes:
    """Where the switch of a LAN is told what to do: a name outside the file system."""
    return f"\0actormq-lan-switch-{prefix}".encode()


def is_multicast(frame: bytes) -> bool:
    """Whether a frame is a datagram for a group; what hosts find their neighbours with is not."""
    kind = frame[12:14]
    if kind == IPV4:
        return 224 <= frame[30] < 240 and frame[23] == UDP  # noqa: PLR2004 224.0.0.0/4
    return kind == IPV6 and frame[38] == 0xFF and frame[20] == UDP  # noqa: PLR2004 ff00::/8


class Switch:
    """The hosts' lines, and what is wrong with them.

    Args:
        taps: The open ends, by host.
    """

    def __init__(self, taps: dict[int, int]) -> None:
        self._taps = taps
        self._places: dict[bytes, int] = {}  # Ethernet addresses to hosts
        self._due = dict.fromkeys(taps, 0.0)  # when the last frame for a host leaves
        self._waiting = 0
        self._cuts: set[tuple[int, int]] = set()
        self._deaf: set[int] = set()
        self._unplugged: set[int] = set()
        self._shape = {"delay_ms": 0.0, "jitter_ms": 0.0, "loss": 0.0}
        self.carried = self.lost = 0

    # -- frames -------------------------------------------------------------------------------

    def read(self, host: int) -> None:
        """Carry what a host has to say."""
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame = os.read(self._taps[host], FRAME_BYTES)
            except OSError:  # nothing more, or its card is down
                return
            self._places[frame[6:12]] = host
            known = None if frame[0] & GROUP_BIT else self._places.get(frame[:6])
            for other in self._taps if known is None else (known,):
                if other != host:
                    self._carry(frame, host, other)

    def _carry(self, frame: bytes, host: int, other: int) -> None:
        shape = self._shape
        ends = {host, other}
        is_cut = (host, other) in self._cuts or ends & self._unplugged
        is_blocked = ends & self._deaf and is_multicast(frame)
        if is_cut or is_blocked or random.random() < shape["loss"]:  # noqa: S311 no secret
            self.lost += 1
            return
        late = shape["delay_ms"] + random.uniform(-1, 1) * shape["jitter_ms"]  # noqa: S311 likewise
        loop = asyncio.get_running_loop()
        if late <= 0 and self._due[other] <= loop.time():
            self._write(other, frame)
        elif self._waiting >= WAITING_LIMIT:
            self.lost += 1
        else:
            # Never before the one in front of it: a line keeps the order of what it carries.
            self._due[other] = max(self._due[other] + APART, loop.time() + late / 1000)
            self._waiting += 1
            loop.call_at(self._due[other], self._write_late, other, frame)

    def _write_late(self, host: int, frame: bytes) -> None:
        self._waiting -= 1
        self._write(host, frame)

    def _write(self, host: int, frame: bytes) -> None:
        try:
            os.write(self._taps[host], frame)
            self.carried += 1
        except OSError:  # its card is down, or does not take it in
            self.lost += 1

    # -- what it is told ----------------------------------------------------------------------

    def obey(self, verb: str, **what: Any) -> dict[str, Any]:
        """Do as told, and say what is wrong with the lines then."""
        if verb == "cut":
            self._cuts |= {(one, other) for one, other in what["pairs"]}
        elif verb == "block_multicast":
            self._deaf |= set(what["hosts"])
        elif verb == "plug":
            self._plug(what["host"], is_in=what["is_in"])
        elif verb == "slow":
            self._shape = what
        elif verb == "heal":
            self._cuts.clear()
            self._deaf.clear()
        return {
            "cuts": sorted(self._cuts),
            "deaf": sorted(self._deaf),
            "shape": self._shape,
            "carried": self.carried,
            "lost": self.lost,
        }

    def _plug(self, host: int, *, is_in: bool) -> None:
        """Let the host know; it takes in what comes without a cable, so nothing may come."""
        fcntl.ioctl(self._taps[host], TUNSETCARRIER, struct.pack("I", is_in))
        (self._unplugged.discard if is_in else self._unplugged.add)(host)


# -- the program ------------------------------------------------------------------------------


def enter(file: int) -> None:
    """Make the network namespace behind an open file this thread's own."""
    libc = ctypes.CDLL(None, use_errno=True)  # Python has it from 3.12 on
    if libc.setns(file, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def open_taps(prefix: str, count: int) -> dict[int, int]:
    """Give each host its card; the other ends are returned, by host."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    taps = {}
    for host in range(1, count + 1):
        namespace = os.open(f"/run/netns/{prefix}-{host}", os.O_RDONLY)
        enter(namespace)
        os.close(namespace)
        taps[host] = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(taps[host], TUNSETIFF, struct.pack("16sH", b"eth0", IFF_TAP | IFF_NO_PI))
    enter(home)
    os.close(home)
    return taps


async def serve(taps: dict[int, int], listener: socket.socket) -> None:
    """Be the switch until told to close."""
    switch, loop, closed = Switch(taps), asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, closed.set)

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            told = json.loads(await reader.readline())
            writer.write(json.dumps(switch.obey(**told)).encode() + b"\n")
            await writer.drain()
            writer.close()
            if told["verb"] == "close":
                closed.set()

    for host, tap in taps.items():
        loop.add_reader(tap, switch.read, host)
    async with await asyncio.start_unix_server(hear, sock=listener):
        await closed.wait()


def main(prefix: str, count: int) -> None:
    """Get all that it takes, and then go on in the background."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address_of(prefix))
    listener.listen()
    taps = open_taps(prefix, count)
    if os.fork():
        os._exit(0)  # whoever started us knows by this that the cards are there
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    asyncio.run(serve(taps, listener))


def tell(prefix: str, what: dict[str, Any]) -> dict[str, Any]:
    """Tell the switch of a LAN something, and hear what is wrong with its lines then.

    Raises:
        OSError: It is not there, or does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER)
        line.connect(address_of(prefix))
        line.sendall(json.dumps(what).encode() + b"\n")
        with line.makefile("rb") as answer:
            text = answer.readline()
    if not text:
        raise ConnectionResetError("it has hung up")
    said: dict[str, Any] = json.loads(text)
    return said


def start(prefix: str, count: int) -> None:
    """Start the program for a LAN whose namespaces are there; it goes on after our own end.

    Raises:
        OSError: It did not start; with its words.
    """
    done = subprocess.run(
        [sys.executable, __file__, prefix, str(count)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.splitlines()
        raise OSError(f"the switch did not start: {said[-1] if said else 'it gave no reason'}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

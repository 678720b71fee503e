"""Reads this machine: load, processor, memory, network and temperatures.

Rates need two looks and the time between them: `look` takes one, `values` compares two.
"""

import math
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil


@dataclass(frozen=True, slots=True)
class Look:
    """The counters of a machine at one moment.

    Attributes:
        at: When, in seconds on a clock that only goes forward.
        load: Processes that want to run, averaged over the last minute; None where unknown.
        busy: Processor time spent working since boot, all cores together, in seconds.
        idle: Processor time spent waiting since boot, all cores together, in seconds.
        memory: Memory in use, in percent.
        received: Bytes that came in over all interfaces since boot.
        sent: Bytes that went out over all interfaces since boot.
        temperatures: Sensor to °C; empty where there are none.
    """

    at: float
    load: float | None
    busy: float
    idle: float
    memory: float
    received: int
    sent: int
    temperatures: Mapping[str, float] = field(default_factory=dict)


def look() -> Look:
    """Take a look at this machine; it takes about a millisecond and does not wait."""
    busy, idle = busy_and_idle(psutil.cpu_times())
    network = psutil.net_io_counters()  # None on a machine without any interface
    sensors = getattr(psutil, "sensors_temperatures", None)  # Linux and FreeBSD only
    return Look(
        at=time.monotonic(),
        load=_load(),
        busy=busy,
        idle=idle,
        memory=psutil.virtual_memory().percent,
        received=network.bytes_recv if network else 0,
        sent=network.bytes_sent if network else 0,
        temperatures=hottest(sensors()) if sensors else {},
    )


def _load() -> float | None:
    try:
        return psutil.getloadavg()[0]
    except (AttributeError, OSError):  # no such figure in some sandboxes
        return None


def busy_and_idle(times: Any) -> tuple[float, float]:
    """Split psutil's processor times, a named tuple of seconds, into working and waiting.

    Guest time is in user time already (proc(5)), so it is not counted again.
    """
    waiting = ("idle", "iowait")
    counted_twice = ("guest", "guest_nice")
    fields = times._asdict()
    idle = sum(fields.get(name, 0.0) for name in waiting)
    busy = sum(
        seconds for name, seconds in fields.items() if name not in (*waiting, *counted_twice)
    )
    return busy, idle


def hottest(sensors: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """Give each chip's highest temperature in °C; a chip may have a sensor for every core."""
    found = {}
    for chip, readings in sensors.items():
        figures = [
            reading.current
            for reading in readings
            if reading.current is not None and math.isfinite(reading.current)
        ]
        if figures:
            found[chip] = float(max(figures))
    return found


def values(now: Look, before: Look | None = None) -> dict[str, float]:
    """Turn looks into figures to publish.

    Args:
        now: The latest look.
        before: The one before it; without it there are no rates.

    Returns:
        `load`, `memory_percent`, `temp_CHIP` in °C; with `before` also `cpu_percent` and
        `bytes_in`, `bytes_out` a second. A counter that went back (an interface that was taken
        away) gives no rate until the next look.
    """
    result = {"memory_percent": now.memory}
    if now.load is not None:
        result["load"] = now.load
    result |= {f"temp_{chip}": degrees for chip, degrees in now.temperatures.items()}
    if before is None or now.at <= before.at:
        return result
    busy, idle = now.busy - before.busy, now.idle - before.idle
    if busy >= 0 and idle >= 0 and busy + idle > 0:
        result["cpu_percent"] = 100.0 * busy / (busy + idle)
    for name, bytes_passed in (
        ("bytes_in", now.received - before.received),
        ("bytes_out", now.sent - before.sent),
    ):
        if bytes_passed >= 0:
            result[name] = bytes_passed / (now.at - before.at)
    return result


def host_name() -> str:
    """Name this machine's station: `host-` and the machine's name without its domain."""
    return f"host-{socket.gethostname().split('.')[0] or 'unknown'}"

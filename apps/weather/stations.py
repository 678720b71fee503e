"""The actors that publish: replayed observations, and this machine itself."""

import asyncio
import datetime as dt
import math
import time
from collections.abc import Generator

import msgspec

from actormq import Actor, Publisher, every, handler
from apps.weather import host
from apps.weather.index import Index, index_of
from apps.weather.messages import EndOfReplay, Observation, Progress
from apps.weather.observations import shipped_data

LOOK_INTERVAL = 0.05  # s between looks for subscribers
BURST = 64  # observations between two looks at the rest of the loop, which takes microseconds
WARNING_LIMIT = 3  # skipped lines that are logged word for word


class Station(Actor):
    """Replays what one station measured, each observation once, then an end marker.

    The topic is the station's name as it was given. With `autostart` the replay begins with the
    first subscriber, else at `start`; a second start changes nothing.

    Args:
        station: A station of the file, or its zip code where `index.ALIASES` knows it.
        data: Path of a CSV file; None for the observations that come with the package.
        speed: Observations a second; 0 for as fast as the subscribers take them.
        autostart: Whether the first subscriber starts it.

    Raises:
        ValueError: The speed is not a number from 0 on.
        ObservationFileError: At the start of the actor: the file is of no use, or has no such
            station.
    """

    feed = Publisher(service="weather", full="wait")

    def __init__(
        self, station: str, data: str | None = None, speed: float = 1.0, autostart: bool = True
    ) -> None:
        if not (math.isfinite(speed) and speed >= 0):
            raise ValueError(f"speed is {speed}; give observations a second, or 0 for no limit")
        self.station = station
        self.data = data
        self.speed = speed
        self.autostart = autostart
        self.published = 0
        self.ends = 0
        self.started = False
        self.begun = 0.0  # s, monotonic
        self.observations: Generator[Observation, None, None] = _nothing()

    async def on_start(self) -> None:
        """Find the station in the file, and say which of its lines cannot be read."""
        self.index: Index = await asyncio.to_thread(index_of, self.data or shipped_data())
        self.extent = self.index.stations[self.index.find(self.station)]
        for skipped in self.index.examples[:WARNING_LIMIT]:
            self.log.warning("%s: line %d %s", self.index.path, skipped.line, skipped.reason)
        if self.index.skipped > WARNING_LIMIT:
            self.log.warning("%s: %d lines skipped in all", self.index.path, self.index.skipped)
        if self.autostart:
            self.after(0.0, self.replay, 1)

    @handler
    def start(self) -> Progress:
        """Begin the replay, whether there are subscribers or not."""
        self._begin()
        return self.progress()

    @handler
    def progress(self) -> Progress:
        """Say how far the replay is."""
        return Progress(
            station=self.station,
            stream=self.feed.stream,
            published=self.published,
            total=self.extent.observations,
            skipped=self.extent.skipped,
            started=self.started,
            done=self.ends > 0,
            messages=self.published + self.ends,
        )

    @handler
    def replay(self, subscribers: int = 0) -> None:
        """Begin the replay once there are so many subscribers, a count."""
        if self.feed.subscriber_count >= subscribers:
            self._begin()
        else:  # asked again, not waited for: an actor that waits cannot be stopped meanwhile
            self.after(LOOK_INTERVAL, self.replay, subscribers)

    def _begin(self) -> None:
        if not self.started:
            self.started = True
            self.begun = time.monotonic()
            self.observations = self.index.read(self.station)
            self.after(0.0, self.step)

    @handler(concurrent=True)  # a slow subscriber holds it up, and `progress` must still answer
    async def step(self) -> None:
        """Publish what is due by now, and come back when the next one is.

        A replay is many short messages to itself, so that its actor can be stopped in between.
        """
        for _ in range(BURST):
            delay = delay_before(self.published, self.speed, time.monotonic() - self.begun)
            if delay > 0:
                self.after(delay, self.step)
                return
            observation = next(self.observations, None)
            if observation is None:
                await self._publish_end()
                return
            await self.feed.publish(self.station, self._renamed(observation))
            self.published += 1
        self.after(0.0, self.step)

    async def on_stop(self) -> None:
        """Close the file if the replay has not come to its end."""
        self.observations.close()

    @handler
    async def repeat_end(self) -> Progress:
        """Publish the end marker once more, for a subscriber that was away when it came.

        Without it such a subscriber could not know how much it has missed at the end. Before the
        replay is over this does nothing.
        """
        if self.ends:
            await self._publish_end()
        return self.progress()

    async def _publish_end(self) -> None:
        end = EndOfReplay(self.station, self.published, self.extent.skipped)
        await self.feed.publish(self.station, end)
        self.ends += 1

    def _renamed(self, observation: Observation) -> Observation:
        if observation.station == self.station:
            return observation
        return msgspec.structs.replace(observation, station=self.station)


def _nothing() -> Generator[Observation, None, None]:
    """The observations of a station that has not begun."""
    yield from ()


def delay_before(published: int, speed: float, elapsed: float) -> float:
    """Say how long the next observation must wait, in seconds; not positive when it is due.

    Counted from the start of the replay, so that what each one is late does not add up.

    Args:
        published: Observations published so far.
        speed: Observations a second; 0 for no limit.
        elapsed: Time since the first was due, in seconds.
    """
    return published / speed - elapsed if speed else 0.0


class HostStation(Actor):
    """Publishes what this machine does, once a second, as one more station of the weather.

    Args:
        station: Name and topic; None for `host-` and the machine's name.
    """

    feed = Publisher(service="weather", full="drop")

    def __init__(self, station: str | None = None) -> None:
        self.station = station or host.host_name()
        self.latest: host.Look | None = None

    @every(1.0)
    async def sample(self) -> None:
        """Take a look and publish it; the first has no rates."""
        # In a thread: some temperature sensors take tens of milliseconds to answer.
        look = await asyncio.to_thread(host.look)
        values = host.values(look, self.latest)
        self.latest = look
        today = dt.datetime.now(dt.UTC).date()
        await self.feed.publish(self.station, Observation(self.station, today, values))

    @handler
    def values(self) -> dict[str, float]:
        """Give the load, memory and temperatures of the latest look."""
        return host.values(self.latest) if self.latest else {}

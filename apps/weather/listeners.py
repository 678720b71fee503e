"""The actors that listen and answer: averages, extremes, and the state of a live view."""

import time
from abc import ABC, abstractmethod

from actormq import Actor, Subscriber, every, handler
from apps.weather.board import Board, ViewState
from apps.weather.messages import (
    Account,
    EndOfReplay,
    Means,
    MonthlyMeans,
    MonthlyRanges,
    Observation,
    Ranges,
    Reading,
)
from apps.weather.statistics import MeanTable, RangeTable


class Listener(Actor, ABC):
    """What all listeners share: they subscribe, and account for what has come.

    Args:
        topics: Beginnings of the topics to hear; None for all.
    """

    readings = Subscriber(service="weather")

    def __init__(self, topics: list[str] | None = None) -> None:
        self.topics = topics or [""]  # the empty topic is the beginning of all
        self.observations = 0
        self.ended: dict[str, EndOfReplay] = {}

    async def on_start(self) -> None:
        """Subscribe; once this has returned nothing is missed."""
        await self.readings.subscribe(*self.topics)

    @readings.received
    async def note(self, topic: str, reading: Reading) -> None:
        """Take in one message."""
        if isinstance(reading, EndOfReplay):
            self.ended[topic] = reading
        else:
            self.observations += 1
        self.take(reading)

    @abstractmethod
    def take(self, reading: Reading) -> None:
        """Do with a message what this listener is for."""

    @handler
    def account(self) -> Account:
        """Say what has come and what has not."""
        return Account(self.observations, self.readings.missed, dict(self.ended))


class Average(Listener):
    """Averages by station, month and column."""

    def __init__(self, topics: list[str] | None = None) -> None:
        super().__init__(topics)
        self.table = MeanTable()

    def take(self, reading: Reading) -> None:
        """Add an observation to the averages."""
        if isinstance(reading, Observation):
            self.table.note(reading)

    @handler
    def averages(self, station: str | None = None) -> Means:
        """Give the averages of one station, or of all."""
        return self.table.by_station(station)

    @handler
    def monthly(self, station: str | None = None) -> MonthlyMeans:
        """Give the averages of each month of one station, or of all."""
        return self.table.by_month(station)


class Extremes(Listener):
    """Extremes by station, month and column, each with the first day it was reached."""

    def __init__(self, topics: list[str] | None = None) -> None:
        super().__init__(topics)
        self.table = RangeTable()

    def take(self, reading: Reading) -> None:
        """Hold an observation against the extremes."""
        if isinstance(reading, Observation):
            self.table.note(reading)

    @handler
    def extremes(self, station: str | None = None) -> Ranges:
        """Give the extremes of one station, or of all."""
        return self.table.by_station(station)

    @handler
    def monthly(self, station: str | None = None) -> MonthlyRanges:
        """Give the extremes of each month of one station, or of all."""
        return self.table.by_month(station)


class LiveView(Listener):
    """Keeps what a live view draws; the drawing is done by who asks for the state."""

    def __init__(self, topics: list[str] | None = None) -> None:
        super().__init__(topics)
        self.board = Board()
        self.nodes: list[str] = []
        self.rate = 0.0  # messages a second
        self.measured = (time.monotonic(), 0)  # s, messages

    def take(self, reading: Reading) -> None:
        """Put a message on the board."""
        self.board.note(reading)

    @every(1.0)
    def measure(self) -> None:
        """Work out the messages a second since the last time."""
        at, received = self.measured
        now = time.monotonic()
        if now > at:
            self.rate = (self.board.received - received) / (now - at)
            self.measured = (now, self.board.received)

    @handler
    def show_nodes(self, nodes: list[str]) -> None:
        """Take in the names of the nodes that the view shows."""
        self.nodes = nodes

    @handler
    def state(self) -> ViewState:
        """Copy out what is to be drawn."""
        return self.board.state(self.rate, self.readings.missed, self.nodes)

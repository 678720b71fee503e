"""The actor that puts observations on disk."""

import asyncio

from actormq import Actor, Subscriber, every, handler
from apps.weather.messages import Reading, Recorded
from apps.weather.store import Store, StoreError

GROUP_LIMIT = 512  # messages; on a disk groups of 64 reach 30 times the rows of single writes
FLUSH_INTERVAL = 0.25  # s; what a kill can cost at most, and a person does not notice
RETRY_INTERVAL = 0.25  # s; how soon a disk that was full is tried again


class Recorder(Actor):
    """Writes observations to SQLite in groups, and goes on where an earlier run ended.

    While nothing can be written (a full disk) it takes one group into memory and no more: its
    mailbox fills, and publishers that wait for slow subscribers wait. The log says so; asks get
    no answer until there is room again.

    Args:
        path: The database; made if it is not there.
        topics: Beginnings of the topics to hear; None for all.

    Raises:
        StoreError: At the start of the actor: the database cannot be opened.
    """

    readings = Subscriber(service="weather")

    def __init__(self, path: str, topics: list[str] | None = None) -> None:
        self.path = path
        self.topics = topics or [""]
        self.problem = ""
        self.store: Store | None = None

    async def on_start(self) -> None:
        """Open the database and subscribe, counting from where its rows end."""
        self.store = store = await asyncio.to_thread(Store, self.path)
        try:
            await self.readings.subscribe(*self.topics, after=store.positions)
        except BaseException:
            store.close()
            self.store = None
            raise

    async def on_stop(self) -> None:
        """Write what is left and close the database."""
        if self.store is None:
            return
        if not await self._write():
            self.log.error("%d messages are lost: %s", self.store.waiting, self.problem)
        await asyncio.to_thread(self.store.close)

    @readings.received
    async def note(self, topic: str, reading: Reading) -> None:
        """Take in one message, and write the group when it is full."""
        store = self._opened()
        last = self.readings.last
        assert last is not None, "set while this handler runs"
        stream, topic, seq = last
        store.add(stream, topic, seq, reading)
        # A disk sends no word when it has room again, so it has to be asked.
        while store.waiting >= GROUP_LIMIT and not await self._write():  # noqa: ASYNC110
            await asyncio.sleep(RETRY_INTERVAL)

    @every(FLUSH_INTERVAL)
    async def flush(self) -> None:
        """Write what has come since the last time, so that little waits in memory."""
        await self._write()

    @handler(concurrent=True)  # counting takes a while, and readings go on meanwhile
    async def recorded(self) -> Recorded:
        """Say what is on disk."""
        store = self._opened()
        positions = await asyncio.to_thread(store.account)
        return Recorded(
            path=str(store.path),
            rows=sum(position.rows for position in positions),
            missed=sum(position.missed for position in positions),
            waiting=store.waiting,
            positions=positions,
            problem=self.problem,
        )

    @handler
    async def sync(self) -> Recorded:
        """Write all that has come before this message, then say what is on disk."""
        await self._write()
        return await self.recorded()

    async def _write(self) -> bool:
        """Write what waits; a failure is logged once until a write succeeds."""
        store = self._opened()
        if not store.waiting:
            return True
        try:
            await asyncio.to_thread(store.flush)  # the disk may take its time
        except StoreError as error:
            if not self.problem:
                self.log.error("%s; trying again", error)  # noqa: TRY400  the sentence says it all
            self.problem = str(error)
            return False
        self.problem = ""
        return True

    def _opened(self) -> Store:
        assert self.store is not None, "handlers run after on_start"
        return self.store

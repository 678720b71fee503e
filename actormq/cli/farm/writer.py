"""Writes lines in groups and in a thread, so that a slow reader or disk holds up nobody else."""

from __future__ import annotations

import asyncio

from actormq.cli.farm.results import Output

GROUP = 64 * 1024  # bytes written at once: a write for each line would be most of the work
INTERVAL = 0.2  # s after which lines are out, however few they are


class Writer:
    """Gathers lines for an output.

    Args:
        output: Where they go.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lines: list[bytes] = []
        self._size = 0
        self._turn = asyncio.Lock()
        self._under_way: asyncio.Future[None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._has_failed = False

    async def write(self, line: bytes) -> None:
        """Take a line; wait if there are many.

        Raises:
            SetupError: Lines cannot be written.
            BrokenPipeError: Nobody reads them.
        """
        self._lines.append(line)
        self._size += len(line)
        if self._ticking is None or self._ticking.done():
            if self._ticking is not None:
                self._ticking.result()  # what went wrong there
            self._ticking = asyncio.ensure_future(self._soon())
        if self._size >= GROUP:
            await self.flush()

    async def _soon(self) -> None:
        while self._lines and not self._has_failed:  # more may come while some are written
            await asyncio.sleep(INTERVAL)
            await self.flush()

    async def flush(self) -> None:
        """Write what there is.

        Raises:
            SetupError: As `write`.
            BrokenPipeError: As `write`.
        """
        async with self._turn:
            await self._written()  # what somebody has begun who was cancelled meanwhile
            if not self._lines or self._has_failed:
                return
            group, self._lines, self._size = b"".join(self._lines), [], 0
            self._under_way = asyncio.ensure_future(asyncio.to_thread(self._output.put, group))
            await self._written()

    async def _written(self) -> None:
        """Wait for what is being written; it goes on if this is cancelled."""
        if self._under_way is None:
            return
        await asyncio.wait([self._under_way])
        put, self._under_way = self._under_way, None
        try:
            put.result()
        except (OSError, ValueError):  # nothing may come behind a gap; SetupError is one
            self._has_failed = True
            raise

    async def close(self) -> None:
        """Write what is left.

        Raises:
            SetupError: As `write`.
            BrokenPipeError: As `write`.
        """
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
            if not self._ticking.cancelled():
                self._ticking.result()  # what went wrong there
        await self.flush()

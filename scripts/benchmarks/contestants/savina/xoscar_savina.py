"""Savina's micro benchmarks with Xoscar: `xoscar_savina.py WORK`, see `protocol.py`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import xoscar as xo
from protocol import AsyncRound, AsyncWork, Settings, repeated_async, serve
from xoscar_concurrency import CONCURRENCY
from xoscar_micro import MICRO, Stage


def work(solve: Callable[[Stage], Awaitable[int]]) -> AsyncWork:
    """Solve a problem again and again, each time with new actors."""

    @asynccontextmanager
    async def in_a_pool(_: Settings) -> AsyncIterator[AsyncRound]:
        pool = await xo.create_actor_pool("127.0.0.1:0", n_process=0)
        async with pool:
            stage = Stage(pool.external_address)

            async def once() -> int:
                count = await solve(stage)
                await stage.clear()
                return count

            yield lambda seconds: repeated_async(once, seconds)

    return in_a_pool


if __name__ == "__main__":
    serve({name: work(solve) for name, solve in {**MICRO, **CONCURRENCY}.items()})

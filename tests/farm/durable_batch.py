"""A batch that keeps what it has, run again and again by a test that kills it.

    python durable_batch.py FILE COUNT SECONDS

SECONDS is how long the input takes to give its tasks; if it takes any time, it keeps the last one
back. Each line that it prints is one result.
"""

import asyncio
import sys
import time

import chores

from actormq import Node


async def inputs(count, seconds):
    begun = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(begun + seconds * number / count - time.monotonic(), 0))
        if seconds and number == count - 1:
            await asyncio.Event().wait()  # whoever kills it while it takes them in may be slow
        yield number


async def main(file, count, seconds):
    async with (
        Node(discovery=False) as node,
        node.farm(chores.square_slowly, workers=2, durable=file) as farm,
    ):
        async for result in farm.map(inputs(count, seconds)):
            sys.stdout.write(f"{result.input} {result.value}\n")
            sys.stdout.flush()
    sys.stdout.write("all\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))

"""Runs a durable farm on a disk that gets full, and prints `ok` if nothing is lost.

`python full_farm.py FOLDER` mounts a disk of its own in memory there: run it as root, in a mount
namespace of its own (`unshare -m`).
"""

import asyncio
import sys
from pathlib import Path

import chores
from full_disk import mount

from actormq import Node, StoreFull
from actormq.farm import store

COUNT = 15_000
SIZE = 300  # bytes of an input: more than the disk has
DISK = 4 << 20  # bytes
store.BALLAST = 1 << 20  # bytes


def given():
    return (f"{number:0{SIZE}}" for number in range(COUNT))


async def main(folder):
    mount(folder, DISK)
    file, before = folder / "batch", []
    async with Node(discovery=False) as node:
        try:
            async with node.farm(chores.number_in, workers=1, durable=file) as farm:
                async for result in farm.map(given()):
                    before.append(result.index)  # noqa: PERF401 those before the error count
        except StoreFull as error:
            assert "disk is full" in str(error)  # noqa: PT017 what else came counts too
        assert 300 < len(before) < COUNT, len(before)
        mount(folder, 8 * DISK, "remount")
        async with node.farm(chores.number_in, workers=1, durable=file) as farm:
            results = [result.value async for result in farm.map(given(), ordered=True)]
            assert results == list(range(COUNT))
            assert farm.progress().done <= COUNT - len(before)  # those were not done again
    sys.stdout.write("ok\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

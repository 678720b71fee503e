"""What the nodes of tests/lan run: an actor with a name, which talks to those that it knows.

It writes down who holds which name, as it sees it, with the time: `actormq node --events` tells of
nodes only.
"""

import asyncio
import json
import time
from pathlib import Path

from actormq import Actor, every, handler


class Worker(Actor):
    """Follows names, and tells their holders numbers, which must come in their order.

    Args:
        notes: The file to write to, a line of JSON each.
        names: Those to follow, with commas between.
    """

    def __init__(self, notes: str, names: str) -> None:
        self.notes = Path(notes)
        self.names = names.split(",")
        self.refs = {}
        self.tasks = []
        self.number = 0
        self.heard = {}

    async def on_start(self) -> None:
        self.tasks = [asyncio.create_task(self.follow(name)) for name in self.names]

    async def on_stop(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def follow(self, name: str) -> None:
        async for refs in self.node.watch(name):
            self.refs[name] = refs
            self.note(name=name, holders=[ref.address.node for ref in refs])

    @every(2.0)  # seldom, for the mesh is to notice by itself who is there
    def talk(self) -> None:
        self.number += 1
        for name, refs in self.refs.items():
            for ref in refs:
                if name != self.name:
                    ref.tell("hear", self.node.id, self.number)

    @handler
    def hear(self, who: str, number: int) -> None:
        last = self.heard.get(who, 0)
        if number <= last:
            self.note(broken=f"{who} said {number} after {last}")
        self.heard[who] = number

    def note(self, **what) -> None:
        line = json.dumps({"monotonic": time.monotonic(), **what})
        with self.notes.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

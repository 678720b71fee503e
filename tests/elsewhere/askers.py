"""Actors elsewhere that ask others, in a module that their processes can import."""

from actormq import Actor, handler


class Loop(Actor):
    """Asks along a path of names and handlers."""

    @handler
    async def ask(self, path: list[list[str]]) -> str:
        (name, how), *rest = path
        other = await self.node.find(name)
        return await other.within(20).ask(how, *([rest] if rest else []))

    @handler
    def fine(self) -> str:
        return "fine"


class Process(Loop):
    runs_in = "process"


class Thread(Loop):
    runs_in = "thread"

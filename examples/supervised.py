# A station that fails on a bad reading comes back by itself: python examples/supervised.py
from actormq import Actor, Backoff, Failure, Node, Supervisor, child, handler, run


class Station(Actor):
    def __init__(self, place: str) -> None:
        self.place = place
        self.readings: list[float] = []

    async def on_restart(self, failure: Failure) -> None:
        self.readings = failure.previous.readings  # kept by choice; all else is new
        print(f"{self.place} is back after: {failure.error}")

    @handler
    def note(self, kelvin: float) -> int:
        if kelvin < 0:
            raise ValueError(f"there is no {kelvin} K")
        self.readings.append(kelvin)
        return len(self.readings)


class Rack(Supervisor):
    children = (
        child(Station, "roof", place="roof"),
        child(Station, "cellar", place="cellar").restarts("always"),
    )
    strategy = "one_for_one"
    max_restarts, period = 5, 60.0  # within seconds
    backoff = Backoff(first=0.1)  # seconds


async def main(node: Node) -> None:
    await node.spawn(Rack, "rack")
    roof = await node.find("roof")
    for kelvin in (285.5, -1.0, 286.0):
        roof.tell(Station.note, kelvin)
    print("good readings:", await roof.ask(Station.note, 286.5))


if __name__ == "__main__":
    run(main)

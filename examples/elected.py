# One scheduler for all machines, and another one once it leaves: python examples/elected.py
import asyncio

from actormq import Actor, Node, handler, run


class Scheduler(Actor):
    elected = True

    @handler
    def where(self) -> str:
        return self.node.name

    async def on_elected(self) -> None:
        print(f"{self.node.name} schedules")

    async def on_standby(self) -> None:
        print(f"{self.node.name} stands by")


async def find_it(desk: Node) -> None:
    scheduler = await desk.find("scheduler", timeout=10)
    print(f"found on {await scheduler.ask(Scheduler.where)}")


async def main(desk: Node) -> None:
    place = desk.address.removeprefix("tcp://")
    machines = []
    for name in ("roof", "cellar"):  # each does the same, as each of your machines may
        machine = Node(name=name, mesh=desk.mesh, join=[place], discovery=False)
        machines.append(machine)
        await machine.start()
        await machine.spawn(Scheduler, "scheduler")
        await asyncio.sleep(2)  # it looks for others first
    await find_it(desk)
    await machines[0].drain()
    await find_it(desk)
    await machines[1].stop()


run(main, name="desk", mesh="elected", discovery=False)

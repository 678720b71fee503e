# Hands a batch of 100 tasks to the workers: python examples/task_ventilator.py
# PUSH hands out ahead of the work and hears of nothing again: with one worker of four killed, a
# fifth of 8000 tasks was lost. docs/farm.md has a farm that loses none.
import random

import click

from actormq import Actor, ActormqError, Node, Pusher, handler, run


class Ventilator(Actor):
    tasks = Pusher(bind="tcp://{host}:{port}", codec="text")

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    @handler
    async def start(self, workers: int) -> None:
        await self.tasks.ready(workers)  # or the first to come would get them all
        await self.tasks.send("0")  # the start of the batch
        for _ in range(100):
            await self.tasks.send(random.randint(1, 100))  # noqa: S311 milliseconds, no secret


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="'*' is all interfaces.")
@click.option("--port", default=5557, show_default=True)
@click.option("--workers", default=1, show_default=True, help="How many to wait for.")
@click.option("--yes", is_flag=True, help="Do not wait for Enter.")
def main(host: str, port: int, workers: int, yes: bool) -> None:
    """Hand a batch of 100 tasks to the workers."""

    async def ventilate(node: Node) -> None:
        ventilator = await node.spawn(Ventilator, "ventilator", host, port)
        print(f"tasks for {workers} workers at tcp://{host}:{port}", flush=True)
        await ventilator.within(86_400).ask(Ventilator.start, workers)
        print("handed out 100 tasks", flush=True)

    if not yes:
        print("press Enter when the workers are ready", flush=True)
        input()
    try:
        run(ventilate, discovery=False, shutdown_timeout=2)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

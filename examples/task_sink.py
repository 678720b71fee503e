# Waits for the results of a batch of 100 tasks and times it: python examples/task_sink.py
import asyncio
import time

import click

from actormq import Actor, ActormqError, Node, Puller, handler, run


class Sink(Actor):
    results = Puller(bind="tcp://{host}:{port}", codec="text")

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.arrived: asyncio.Queue[float] = asyncio.Queue()

    @results.received
    def note(self, _result: str) -> None:
        self.arrived.put_nowait(time.perf_counter())

    @handler(concurrent=True)  # results come in while it waits
    async def elapsed(self, tasks: int) -> float:
        begun = await self.arrived.get()  # the first message is the start of the batch
        return [await self.arrived.get() for _ in range(tasks)][-1] - begun


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="'*' is all interfaces.")
@click.option("--port", default=5558, show_default=True)
def main(host: str, port: int) -> None:
    """Time a batch of 100 tasks."""

    async def gather(node: Node) -> None:
        sink = await node.spawn(Sink, "sink", host, port)
        print(f"waiting for results at tcp://{host}:{port}", flush=True)
        elapsed = await sink.within(86_400).ask(Sink.elapsed, 100)
        print(f"total elapsed time: {1000 * elapsed:.0f} ms", flush=True)

    try:
        run(gather, discovery=False, shutdown_timeout=1)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

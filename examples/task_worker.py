# Does tasks of so many milliseconds and says when each is done: python examples/task_worker.py
import asyncio

import click

from actormq import Actor, ActormqError, Node, Puller, Pusher, run


class Worker(Actor):
    tasks = Puller(connect="tcp://{host}:{port}", codec="text")
    results = Pusher(connect="tcp://{host}:{sink_port}", codec="text")

    def __init__(self, host: str, port: int, sink_port: int) -> None:
        self.host, self.port, self.sink_port = host, port, sink_port

    @tasks.received
    async def work(self, milliseconds: int) -> None:
        print(f"{milliseconds} ms", flush=True)
        await asyncio.sleep(milliseconds / 1000)
        await self.results.send("")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5557, show_default=True, help="The ventilator's.")
@click.option("--sink-port", default=5558, show_default=True)
def main(host: str, port: int, sink_port: int) -> None:
    """Do tasks of so many milliseconds."""

    async def work(node: Node) -> None:
        await node.spawn(Worker, "worker", host, port, sink_port)
        print(
            f"tasks from {host}:{port}, results to {host}:{sink_port}; Ctrl-C ends it", flush=True
        )
        await node.stopped()

    try:
        run(work, discovery=False)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

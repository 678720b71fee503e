# Reads two sockets at once, tasks and weather, fairly: python examples/multi_reader.py
import click

from actormq import Actor, ActormqError, Node, Puller, Subscriber, run


class Reader(Actor):
    tasks = Puller(connect="tcp://{host}:{task_port}", codec="text")
    weather = Subscriber(connect="tcp://{host}:{weather_port}", codec="text")

    def __init__(self, host: str, task_port: int, weather_port: int, zipcode: str) -> None:
        self.host, self.task_port, self.weather_port = host, task_port, weather_port
        self.zipcode = zipcode

    async def on_start(self) -> None:
        await self.weather.subscribe(f"{self.zipcode} ")

    @tasks.received
    def task(self, milliseconds: str) -> None:
        print(f"task of {milliseconds} ms", flush=True)

    @weather.received
    def reading(self, zipcode: str, reading: str) -> None:
        print(f"weather of {zipcode}: {reading}", flush=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--task-port", default=5557, show_default=True)
@click.option("--weather-port", default=5556, show_default=True)
@click.option("--zip", "zipcode", default="10001", show_default=True)
def main(host: str, task_port: int, weather_port: int, zipcode: str) -> None:
    """Read tasks and weather at once."""

    async def read(node: Node) -> None:
        await node.spawn(Reader, "reader", host, task_port, weather_port, zipcode)
        print(f"reading {host}:{task_port} and {host}:{weather_port}; Ctrl-C ends it", flush=True)
        await node.stopped()

    try:
        run(read, discovery=False)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

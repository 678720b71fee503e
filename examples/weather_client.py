# Averages the temperature of one place: python examples/weather_client.py 10001
import asyncio
import statistics

import click

from actormq import Actor, ActormqError, Node, Subscriber, handler, run


class WeatherClient(Actor):
    readings = Subscriber(connect="tcp://{host}:{port}", codec="text")

    def __init__(self, host: str, port: int, zipcode: str) -> None:
        self.host, self.port, self.zipcode = host, port, zipcode
        self.heard: asyncio.Queue[int] = asyncio.Queue()

    async def on_start(self) -> None:
        await self.readings.subscribe(f"{self.zipcode} ")  # with the space: 10001 is not 100012

    @readings.received
    def note(self, _zipcode: str, reading: str) -> None:
        temperature, _ = reading.split()
        self.heard.put_nowait(int(temperature))

    @handler(concurrent=True)  # readings come in while it waits
    async def mean(self, count: int) -> float:
        return statistics.fmean([await self.heard.get() for _ in range(count)])


@click.command()
@click.argument("zipcode", default="10001")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5556, show_default=True)
@click.option("--count", default=100, show_default=True, type=click.IntRange(min=1))
def main(zipcode: str, host: str, port: int, count: int) -> None:
    """Average the temperature of ZIPCODE."""

    async def listen(node: Node) -> None:
        client = await node.spawn(WeatherClient, "client", host, port, zipcode)
        print(f"waiting for {count} readings of {zipcode} at tcp://{host}:{port}", flush=True)
        mean = await client.within(86_400).ask(WeatherClient.mean, count)
        print(f"mean temperature of {zipcode} over {count} readings: {mean:.2f} F", flush=True)

    try:
        run(listen, discovery=False, shutdown_timeout=1)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

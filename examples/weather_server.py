# Publishes made-up weather of a hundred places, as text: python examples/weather_server.py
import random

import click

from actormq import Actor, ActormqError, Node, Publisher, every, run


class WeatherServer(Actor):
    feed = Publisher(bind="tcp://{host}:{port}", codec="text")

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    @every(0.01)  # seconds
    async def observe(self) -> None:
        for _ in range(100):
            zipcode = random.randrange(10001, 10101)  # noqa: S311 weather, not secrets
            temperature, humidity = random.randrange(-80, 135), random.randrange(10, 60)  # noqa: S311 as above
            await self.feed.publish(str(zipcode), f"{temperature} {humidity}")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="'*' is all interfaces.")
@click.option("--port", default=5556, show_default=True)
def main(host: str, port: int) -> None:
    """Publish made-up weather."""

    async def serve(node: Node) -> None:
        await node.spawn(WeatherServer, "weather", host, port)
        print(f"publishing ZIP TEMP HUMIDITY at tcp://{host}:{port}; Ctrl-C ends it", flush=True)
        await node.stopped()

    try:
        run(serve, discovery=False)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

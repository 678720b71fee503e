# Passes weather on to another network, and filters back: python examples/weather_proxy.py
import click

from actormq import ActormqError, Forwarder, Node, run


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the weather server is.")
@click.option("--port", default=5556, show_default=True)
@click.option("--proxy-host", default="127.0.0.1", show_default=True, help="'*' is all interfaces.")
@click.option("--proxy-port", default=8100, show_default=True)
def main(host: str, port: int, proxy_host: str, proxy_port: int) -> None:
    """Pass weather on, and filters back."""

    server, proxy = f"tcp://{host}:{port}", f"tcp://{proxy_host}:{proxy_port}"

    async def relay(node: Node) -> None:
        await node.spawn(Forwarder, "weather-proxy", server, proxy, frontend_connect=True)
        print(f"weather of {server} is at {proxy}; Ctrl-C ends it", flush=True)
        await node.stopped()

    try:
        run(relay, discovery=False)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

# Says Hello ten times and prints what comes back: python examples/hello_client.py
import click

from actormq import Actor, ActormqError, Node, Requester, handler, run


class HelloClient(Actor):
    server = Requester(connect="tcp://{host}:{port}", codec="text", timeout=2.5, retries=3)

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    @handler
    async def greet(self, times: int) -> None:
        for number in range(1, times + 1):
            print(f"request {number}: {await self.server.request('Hello')}", flush=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5555, show_default=True)
def main(host: str, port: int) -> None:
    """Say Hello ten times."""

    async def talk(node: Node) -> None:
        client = await node.spawn(HelloClient, "client", host, port)
        print(f"asking tcp://{host}:{port}", flush=True)
        await client.within(60).ask(HelloClient.greet, 10)

    try:
        run(talk, discovery=False, shutdown_timeout=1)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

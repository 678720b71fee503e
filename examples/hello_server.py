# Answers each Hello with World, on ZeroMQ's old example port: python examples/hello_server.py
import click

from actormq import Actor, ActormqError, Node, Replier, run


class HelloServer(Actor):
    door = Replier(bind="{bind}", connect="{connect}", codec="text")

    def __init__(self, bind: str, connect: str) -> None:
        self.bind, self.connect = bind, connect  # one of the two is empty, and left out

    @door.received
    async def hello(self, request: str) -> str:
        print(f"received {request}", flush=True)
        return "World"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="'*' is all interfaces.")
@click.option("--port", default=5555, show_default=True)
@click.option("--connect", is_flag=True, help="Connect to a queue instead of binding.")
def main(host: str, port: int, connect: bool) -> None:
    """Answer each Hello with World."""

    async def serve(node: Node) -> None:
        place = f"tcp://{host}:{port}"
        await node.spawn(HelloServer, "server", *(("", place) if connect else (place, "")))
        print(f"waiting for requests at {place}; Ctrl-C ends it", flush=True)
        await node.stopped()

    try:
        run(serve, discovery=False)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

# Spreads requests of many clients over many servers: python examples/message_queue.py
import click

from actormq import ActormqError, Node, Queue, run


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="'*' is all interfaces.")
@click.option("--frontend-port", default=5559, show_default=True, help="Clients connect there.")
@click.option("--backend-port", default=5560, show_default=True, help="Servers connect there.")
def main(host: str, frontend_port: int, backend_port: int) -> None:
    """Spread requests over servers."""

    frontend, backend = f"tcp://{host}:{frontend_port}", f"tcp://{host}:{backend_port}"

    async def relay(node: Node) -> None:
        await node.spawn(Queue, "queue", frontend, backend)
        print(f"clients go to {frontend}, servers to {backend}; Ctrl-C ends it", flush=True)
        await node.stopped()

    try:
        run(relay, discovery=False)
    except ActormqError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

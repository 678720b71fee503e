# An actor that greets, and a program that asks it to: python examples/hello.py
from actormq import Actor, Node, handler, run


class Greeter(Actor):
    @handler
    async def greet(self, who: str) -> str:  # plain `def` works as well
        return f"hello {who}"


async def main(node: Node) -> None:
    greeter = await node.spawn(Greeter, "greeter")
    print(await greeter.ask(Greeter.greet, "LAN"))  # str, known to the type checker
    greeter.tell(Greeter.greet, "LAN")  # no reply; never blocks


if __name__ == "__main__":
    run(main)

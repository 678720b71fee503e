# Counts primes on all cores there are, of all machines with a worker: python examples/farm.py
from actormq import Node, run


def primes(first: int) -> int:
    """Count the primes among a thousand numbers."""
    numbers = range(max(first, 2), first + 1_000)
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in numbers)


async def main(node: Node) -> None:
    async with node.farm(primes) as farm:
        counts = [result.value async for result in farm.map(range(0, 100_000, 1_000))]
    print(f"{sum(counts)} primes below 100000")


if __name__ == "__main__":
    run(main)

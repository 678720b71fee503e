# Hashes files as an executor does, on all machines with a worker: python examples/executor.py
import hashlib
from pathlib import Path

from actormq import Executor


def digest(path: str) -> str:
    """Hash what is in a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def show(paths: list[str]) -> None:
    with Executor() as executor:  # a process a core here; max_workers=0 for those of others only
        for path, hashed in zip(paths, executor.map(digest, paths, chunksize=8), strict=True):
            print(hashed[:12], Path(path).name)
        print(executor.submit(pow, 2, 100).result())


if __name__ == "__main__":
    show(sorted(map(str, Path(__file__).parent.glob("hello*.py"))))

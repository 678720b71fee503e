"""`actormq`, which `python -m actormq` is too: the command, from its first import on."""

from __future__ import annotations

from actormq.interrupts import ending_at_once


def main() -> None:
    """Run the command."""
    with ending_at_once():
        from actormq.cli import main as command  # noqa: PLC0415 as just said

    command(prog_name="actormq")


if __name__ == "__main__":
    main()

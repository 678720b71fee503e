"""`actormq`, which `python -m actormq` is too: the command, from its first import on."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command; Ctrl-C ends it without a traceback, also while it is being imported."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else whoever started us wants it ignored
        # At once: an exception would come up wherever an import stands just then.
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    from actormq.cli import main as command  # noqa: PLC0415 as above

    signal.signal(signal.SIGINT, before)
    command(prog_name="actormq")


if __name__ == "__main__":
    main()

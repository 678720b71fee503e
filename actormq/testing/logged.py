"""Errors in the log that no test has reckoned with."""

from __future__ import annotations

import logging
from typing import Self

LOGGERS = ("actormq", "asyncio")


class Logged(logging.Handler):
    """The errors that actormq and asyncio log, and which of them the test has reckoned with.

    Attributes:
        lines: What was logged as an error: the logger, the message, the exception.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.expected: list[str] = []

    def __enter__(self) -> Self:
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        error = record.exc_info[1] if record.exc_info else None
        self.lines.append(f"{record.name}: {record.getMessage()}{f': {error!r}' if error else ''}")

    def expect(self, *texts: str) -> None:
        """Reckon with errors whose lines hold one of these texts; each must come at least once."""
        self.expected += texts

    def complaints(self) -> list[str]:
        """What came and was not expected, what was expected and did not come."""
        surprises = [x for x in self.lines if not any(text in x for text in self.expected)]
        absent = [text for text in self.expected if not any(text in x for x in self.lines)]
        return [f"logged: {x}" for x in surprises] + [f"expected in the log: {x}" for x in absent]

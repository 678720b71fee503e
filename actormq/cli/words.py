"""Figures in words, for people."""

from __future__ import annotations


def number(count: int) -> str:
    """A count that people can read."""
    return f"{count:,}"


def counted(count: int, what: str, more: str = "") -> str:
    """A count of something, `more` being its plural if that is not formed with an s."""
    return f"{number(count)} {what if count == 1 else more or what + 's'}"


def duration(seconds: float) -> str:
    """A length of time in its two largest units, such as `3 m 20 s`."""
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3_600, whole // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} m"
    if minutes:
        return f"{minutes} m {whole % 60} s"
    return f"{whole} s"

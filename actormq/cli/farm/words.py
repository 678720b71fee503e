"""How far a farm is, in words: the same for a bar, a line and a table."""

from __future__ import annotations

from actormq.cli.words import counted, duration, number
from actormq.farm.reports import Progress

SLOW = 10.0  # tasks a second below which a place behind the point tells something


def pace(rate: float) -> str:
    """So many tasks a second; where that is less than one, so many a minute."""
    if rate >= SLOW:
        return f"{rate:,.0f}/s"
    if rate >= 1 or not rate:
        return f"{rate:.1f}/s"
    return f"{rate * 60:.1f}/min"


def ended(progress: Progress) -> int:
    """How many tasks have come to an end, good or bad."""
    return progress.done + progress.failed


def share(progress: Progress) -> float | None:
    """What part of all has ended, from 0 to 1; None as long as nobody knows how much all is."""
    if progress.total is None:
        return None
    return ended(progress) / progress.total if progress.total else 1.0


def waits(progress: Progress, min_workers: int) -> str:
    """That tasks wait because workers are missing; "" if they do not."""
    has_begun = progress.running or ended(progress)
    wanted = 1 if has_begun else max(min_workers, 1)
    if progress.workers >= wanted or not progress.waiting:
        return ""
    unfit = ""
    if progress.unfit:
        unfit = f"; {counted(progress.unfit, 'more is', 'more are')} there and cannot run it"
    return f"waiting for workers: {number(progress.workers)} of {number(wanted)}{unfit}"


def how_far(progress: Progress) -> str:
    """How many of how many, as `120/1,000  12 %`, or so far, where nobody knows of how many."""
    part = share(progress)
    if progress.total is None or part is None:
        return f"{number(ended(progress))} of {number(progress.accepted)} so far"
    # Rounded down: 100 % is said when all have ended, and not before.
    return f"{number(ended(progress))}/{number(progress.total)}  {int(part * 100)} %"


def how_well(progress: Progress) -> list[str]:
    """What else there is to say while it goes on: rate, workers, retries, failures, time left."""
    words = [pace(progress.rate), counted(progress.workers, "worker")]
    again = progress.retried + progress.redelivered
    if again:
        words.append(f"{number(again)} tried again")
    if progress.failed:
        words.append(f"{number(progress.failed)} failed")
    if progress.left is not None and ended(progress) != progress.total:
        words.append(f"{duration(progress.left)} left")
    return words

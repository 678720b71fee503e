"""Which farm gets how many of a worker's slots."""

from __future__ import annotations

from collections.abc import Mapping


def shares(slots: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """Divide the slots of one worker among the farms of its mesh, evenly.

    Args:
        slots: How many there are.
        wanted: How many each farm could use now, by farm; the order decides who gets the odd ones.

    Returns:
        How many each gets: no farm more than it wants while another one wants more than it has.
        What nobody wants is divided evenly as well, so that a farm finds its slots started.
    """
    given = dict.fromkeys(wanted, 0)
    left = slots
    while left:
        hungry = [farm for farm, count in wanted.items() if given[farm] < count]
        takers = hungry or list(wanted)
        if not takers:
            break
        least = min(given[farm] for farm in takers)
        for farm in [farm for farm in takers if given[farm] == least][:left]:
            given[farm] += 1
            left -= 1
    return given

"""How fast this machine is just now, by a plain loop: what something costs is judged against that.

How many seconds of a core something takes says as much of the machine, and of who else uses it, as
of the code. Both slow down alike where a neighbour takes of the core's caches.
"""

import heapq
import time

TURNS = 50_000  # of the plain loop in one go: some 15 ms
USUAL = 1 / 2_500_000  # s of a turn where the limits in seconds were set


def plain():
    """Seconds of this process that a turn of a plain loop takes."""
    timers, kept = [(float(which), which) for which in range(32)], {}
    begun = time.process_time()
    for number in range(TURNS):
        _turn(timers, kept, number)
    return (time.process_time() - begun) / TURNS


def _turn(timers, kept, number):
    """What any loop does that keeps timers in a heap: take one, call, set the next."""
    at, which = heapq.heappop(timers)
    kept[which] = kept.get(which, 0) + number
    heapq.heappush(timers, (at + 1.0 + which / 64, which))


def slowness():
    """How many times longer than usual this machine takes now; 1 if it is faster."""
    return max(1.0, plain() / USUAL)

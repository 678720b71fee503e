"""Time that stands still while the machine gives its processors to others.

"Soon" cannot be a number of the clock on the wall: whoever shares the machine may stop all of a
test for as long as that. What may be said is how long it takes of the time that was granted.
"""

import threading
import time

ROUND = 0.002  # s
COUNTED = 0.005  # s of a round at most; what is beyond that this process did not have


class Granted:
    """Knows the seconds in which this process could have run, from `with` on.

    A thread sleeps, round after round: one that takes long was held up, and so was the test.
    """

    def __init__(self):
        self._begun = time.monotonic()
        self._stalls = []  # (begun, ended), on the machine's monotonic clock
        self._last = self._begun
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="granted", daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    @property
    def seconds(self):
        """So far, or of the whole block."""
        return self.between(self._begun, self._last)

    def between(self, begun, ended):
        """Those between two times of the machine's monotonic clock."""
        lost = (
            min(ended, after) - max(begun, before)
            for before, after in self._stalls
            if before < ended and begun < after
        )
        return ended - begun - sum(lost)

    def _watch(self):
        while not self._over.wait(ROUND):
            self._look()
        self._look()

    def _look(self):
        now = time.monotonic()
        if now - self._last > COUNTED:
            self._stalls.append((self._last + COUNTED, now))
        self._last = now

"""What a node and the process of one of its actors say to each other, over one ipc connection.

Each is a msgpack array that begins with its kind, packed by the codec as all else that travels; it
never leaves the machine, and both ends are of the same version, so `docs/wire.md` leaves it out.
"""

from __future__ import annotations

# -- to the process --
OPEN = 0  # [0, target, args, kwargs]           make the object
RUN = 1  # [1, number, seconds left, method, args, kwargs]    0 s: it serves no ask
CANCEL = 2  # [2, number]
CLOSE = 3  # [3]
ANSWER = 4  # [4, number, value]                what came of a request of the process
REFUSE = 5  # [5, number, error, facts]

# -- from the process --
HELLO = 10  # [10]
OPENED = 11  # [11]
DONE = 12  # [12, number, value]                what came of a run; number 0 is OPEN
FAILED = 13  # [13, number, error, facts, has run, is an answer]
BEAT = 14  # [14]                                its loop goes round
ASK = 15  # [15, number, seconds, ref, handler, args, kwargs]
TELL = 16  # [16, ref, handler, args, kwargs]
STOP = 17  # [17, number, seconds, ref]          0 s: as long as the node likes
FIND = 18  # [18, number, seconds, name]         -1 s: as long as the node likes
SPAWN = 19  # [19, number, is child, target, name, args, kwargs]
SELF = 20  # [20, method, args, kwargs]          a message of the actor to itself
SEND = 21  # [21, number, seconds, ref, handler, args, kwargs]
WATCH = 22  # [22, ref]
UNWATCH = 23  # [23, ref]

OPENING = 0
"""The number of what makes the object, among the runs."""

BEAT_INTERVAL = 0.25  # s; a fifth of the usual `hang_limit`, and a hang is seen within 2 s

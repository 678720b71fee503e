"""What a node and one of its slots say to each other, over one ipc connection.

Each is a msgpack array that begins with its kind, as in `elsewhere/words.py`, two of whose words
these are. Payloads and results travel as a blob: one msgpack value after the other, in the order of
the ids.
"""

from __future__ import annotations

import struct

from actormq.elsewhere.words import CLOSE, HELLO

__all__ = [
    "BROKEN",
    "CANNOT",
    "CLOSE",
    "DONE",
    "FAILED",
    "HELLO",
    "JOB",
    "READY",
    "SKIPPED",
    "WORK",
]

# -- to the slot; CLOSE ends it --
JOB = 0  # [0, number, target, mode, initializer, initargs, main]       what a job is, said once
WORK = 1  # [1, number of the job, ids, blob of payloads]

# -- from the slot; HELLO comes first --
READY = 11  # [11]
DONE = 12  # [12, ids, blob of results, seconds]    the seconds are those of all of them together
FAILED = 13  # [13, id, kind, text, args, state, traceback, is final]   the fields of a `Failure`
CANNOT = 15  # [15, number of the job, ids, text]   its function is not here; none of them has run
BROKEN = 16  # [16, number of the job, ids, kind, text, …]  its initializer failed: a `Failure`

SKIPPED = 17  # [17, ids]       the node had taken them back: none of them has run

# -- the page: what a slot is at, in memory that both see --
PAGE = struct.Struct("=dQ")
"""Since when, in seconds of CLOCK_MONOTONIC, and the id of the task.

In this order: who reads between the two finds a time that is too young for the id, never one that
is too old.
"""

RECALL = struct.Struct("=QQ")
"""Behind it, what the node has taken back: from the first of them to the one behind the last.

Tasks are counted for that as they were given to the slot, from 0 on, and not by their ids: one that
was taken back may be given to the same slot again.
"""

RECALLS_AT = PAGE.size + RECALL.size
"""Behind that, one byte: how often the two above were begun or finished to be written, modulo 256.

0 as long as nothing was taken back; odd while they are being written.
"""

PAGE_BYTES = RECALLS_AT + 1

IDLE = 2**64 - 1  # the id of no task
LOADING = 2**64 - 2  # the id of what comes before the first task of a job: imports, initializer

"""Which works `scripts/bench` measures, and what actormq has to reach in each.

To add a work: a row here, and one in `programs.py` for each program that can do it.
"""

from __future__ import annotations

from goals import Work, at_least, at_most

PYTHON = ("pykka", "thespian", "xoscar")

# Savina's micro benchmarks, each with the piece that is counted in it.
SAVINA = {
    "pingpong": "messages of ping-pong",
    "counting": "messages of counting",
    "threadring": "hops of a thread ring",
    "big": "messages of big, 120 actors that ping each other",
    "fjcreate": "actors of fork-join create",
    "fjthroughput": "messages of fork-join throughput",
    "chameneos": "meetings of chameneos",
    "smokers": "smokes of the cigarette smokers",
    "dictionary": "requests of the concurrent dictionary",
    "buffer": "items of the bounded buffer",
    "philosophers": "meals of the dining philosophers",
}

WORKS: tuple[Work, ...] = (
    Work(
        "local-tell",
        "tells to one counting actor, one producer, within a process",
        "/s",
        (at_least(8, *PYTHON), at_least(1 / 3, "erlang")),
    ),
    Work(
        "local-ask",
        "asks one by one within a process, median",
        "s",
        (at_most(2 / 3, "thespian"), at_most(1 / 8, "thespian")),
    ),
    Work(
        "far-tell",
        "tells of 32 bytes to an actor of another process, tcp",
        "/s",
        (at_least(4, "erlang"), at_least(4, "pipe"), at_least(50, "xoscar")),
    ),
    Work(
        "far-ask",
        "asks one by one of another process, tcp, median",
        "s",
        (at_most(1.5, "libzmq"),),
    ),
    Work(
        "far-ask-spin",
        "the same, with a spin before sleeping",
        "s",
        (at_most(1.1, "libzmq"), at_most(1, "erlang")),
        others="far-ask",
    ),
    Work(
        "far-asks",
        "asks of another process, 100 in flight, tcp",
        "/s",
        (at_least(1.5, "erlang"), at_least(8, "xoscar")),
    ),
    Work(
        "fan-out",
        "messages of 32 bytes, each to 4 subscriber processes, published in bursts",
        "/s",
        (at_least(8, "nats"),),
    ),
    Work(
        "fan-out-single",
        "the same, published one at a time",
        "/s",
        (at_least(1, "nats"),),
    ),
    Work(
        "spawn",
        "actors started in one process",
        "/s",
        (at_least(8, *PYTHON), at_most(600, of="bytes", unit="B")),
        ("actors=100000",),
    ),
    Work(
        "spawn-live",
        "actors started, told something and stopped, each",
        "/s",
        (at_least(8, *PYTHON),),
        ("actors=100000",),
    ),
    Work(
        "echo-1mb",
        "an array of 1 MB to another process of the host and back",
        "B/s",
        (at_least(1.3, "pyro5"),),
    ),
    Work(
        "echo-1mb-tcp",
        "the same between nodes that take each other for other hosts, tcp",
        "B/s",
        others="echo-1mb",
    ),
    Work(
        "echo-64mb",
        "an array of 64 MB to another process of the host and back",
        "B/s",
        (at_least(1, "ray"),),
    ),
    *(
        Work(f"savina-{name}", f"{what} (Savina)", "/s", (at_least(5, *PYTHON),))
        for name, what in SAVINA.items()
    ),
    Work(
        "farm-tasks",
        "tasks of a farm that do nothing, each by itself, on 2 processes",
        "/s",
        (at_least(10, "pool"), at_least(100, "celery")),
    ),
    *(
        Work(
            f"farm-map-{size}",
            f"`Executor.map` of them, in chunks of {size}",
            "/s",
            (at_least(1, "pool"),),
            (f"chunksize={size}",),
        )
        for size in (1, 10, 100, 1_000)
    ),
    Work(
        "farm-naps",
        "tasks of 2 ms on 8 slots, as a share of the ideal",
        "",
        (at_least(0.9),),
    ),
    Work(
        "socket-push",
        "messages from an actor's socket to a plain one of another process",
        "/s",
    ),
    Work(
        "socket-pull",
        "messages from a plain socket of another process to an actor's",
        "/s",
    ),
    Work(
        "socket-publish",
        "messages published by an actor's socket to a plain one of another process",
        "/s",
    ),
    Work(
        "socket-request",
        "requests of an actor's socket, one by one, to a plain one of another process, median",
        "s",
    ),
    Work(
        "forwarder",
        "messages relayed by a device, from one process to another",
        "/s",
    ),
    Work(
        "flood",
        "how long a reading waits at worst while tasks flood the actor's other socket",
        "s",
    ),
    Work(
        "start-import",
        "a Python that imports actormq, beside one that imports zmq, tornado and msgpack",
        "s",
        (at_most(1.5, "base"),),
    ),
    Work(
        "start-names",
        "a Python that imports Actor, Node, handler and run of it",
        "s",
        (at_most(1.5, "base"),),
    ),
    Work(
        "start-node",
        "`actormq node`, until it says that it has started",
        "s",
        (at_most(2, "base"),),
    ),
)

"""The deck's programs in plain pyzmq: what actormq's examples must be able to talk to.

`python peer.py ROLE OPTIONS`, such as `python peer.py hello-client --port 5555 --count 10`.
Knows nothing of actormq. peer.c and peer.mjs have the same roles, options and printed lines.
A role that binds takes port 0 for a free one, and prints `bound PORT` for each socket.
"""

import argparse
import contextlib
import random
import sys
import time

import zmq

ZIPS = range(10001, 10011)
COLDER = 9940  # 10001 has 61 °F, always: so a test knows what the mean must be
HUMIDITY = 50
TASKS = 100
PAUSE = 0.001  # s between two readings: enough for any client, and no load on the machine


def say(line):
    print(line, flush=True)  # noqa: T201 - a program that prints


def read(socket):
    """Receive a message, which has to be one frame of text."""
    [frame] = socket.recv_multipart()
    return frame.decode()


def bound(kind, port):
    socket = sockets.enter_context(context.socket(kind))
    socket.bind(f"tcp://{args.host}:{port}")
    endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    say(f"bound {endpoint.rpartition(':')[2]}")
    return socket


def connected(kind, port):
    socket = sockets.enter_context(context.socket(kind))
    socket.connect(f"tcp://{args.host}:{port}")
    return socket


def hello_server():
    door = (connected if args.connect else bound)(zmq.REP, args.port)
    while True:
        say(read(door))
        door.send_string("World")


def hello_client():
    server = connected(zmq.REQ, args.port)
    for _ in range(args.count):
        server.send_string("Hello")
        say(read(server))


def weather_server():
    feed = bound(zmq.PUB, args.port)
    while True:
        for zip_code in ZIPS:
            feed.send_string(f"{zip_code} {zip_code - COLDER} {HUMIDITY}")
            time.sleep(PAUSE)


def weather_client():
    feed = connected(zmq.SUB, args.port)
    feed.subscribe(args.zip)
    for _ in range(args.count):
        say(read(feed))


def ventilator():
    tasks = bound(zmq.PUSH, args.port)
    sys.stdin.readline()
    tasks.send_string("0")
    for _ in range(TASKS):
        tasks.send_string(str(random.randint(1, 3)))
    say(f"sent {TASKS}")
    sys.stdin.read()  # until the tests have what they want: an end now could lose what is queued


def worker():
    tasks, results = connected(zmq.PULL, args.port), connected(zmq.PUSH, args.sink_port)
    while True:
        milliseconds = read(tasks)
        say(milliseconds)
        time.sleep(int(milliseconds) / 1000)
        results.send(b"")


def sink():
    results = bound(zmq.PULL, args.port)
    begun = None
    for _ in range(1 + TASKS):
        if result := read(results):
            sys.exit(f"a result is an empty message, not {result}")
        begun = begun or time.monotonic()
    say(f"elapsed {(time.monotonic() - begun) * 1000:.0f} ms")


def queue():
    frontend, backend = bound(zmq.ROUTER, args.frontend_port), bound(zmq.DEALER, args.backend_port)
    zmq.proxy(frontend, backend)


def proxy():
    zmq.proxy(connected(zmq.XSUB, args.port), bound(zmq.XPUB, args.proxy_port))


ROLES = {
    "hello-server": hello_server,
    "hello-client": hello_client,
    "weather-server": weather_server,
    "weather-client": weather_client,
    "ventilator": ventilator,
    "worker": worker,
    "sink": sink,
    "queue": queue,
    "proxy": proxy,
}

parser = argparse.ArgumentParser(description="A program of the deck, in plain pyzmq.")
parser.add_argument("role", choices=ROLES)
parser.add_argument("--host", default="127.0.0.1")
for name in ("port", "sink-port", "frontend-port", "backend-port", "proxy-port"):
    parser.add_argument(f"--{name}", type=int, default=0)
parser.add_argument("--connect", action="store_true")
parser.add_argument("--count", type=int, default=10)
parser.add_argument("--zip", default="10001")
args = parser.parse_args()

with zmq.Context() as context, contextlib.ExitStack() as sockets:
    context.linger = 0  # what a role had to send was answered, or it failed
    ROLES[args.role]()

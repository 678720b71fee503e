"""`actormq device` as users have it: plain peers talk through it, and it ends when told to."""

import datetime as dt
import re
import signal
import subprocess
import sys

import pytest
import zmq

from actormq import DeviceStatistics, Forwarder, LifecycleError
from actormq.cli.device import _run, line
from actormq.devices.proxy import Face, Flow

ACTORMQ = [sys.executable, "-W", "error", "-m", "actormq", "device"]
ANYWHERE = "tcp://127.0.0.1:*"
DEADLINE_MS = 20_000  # for one message; it takes a thousandth

slow = pytest.mark.slow


class Command:
    """A device in a process of its own."""

    def __init__(self, kind, *options):
        self.process = subprocess.Popen(
            [*ACTORMQ, kind, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        first = self.process.stdout.readline()
        pattern = rf"{kind}: frontend (\w+) (.*) (\S+), backend (\w+) (.*) (\S+)\n"
        self.said = re.fullmatch(pattern, first)
        assert self.said, (first, self.process.stderr.read())

    @property
    def frontend(self):
        return self.said[3]

    @property
    def backend(self):
        return self.said[6]

    def end(self, number=signal.SIGTERM):
        """Tell it to end; returns what it printed since."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=100)
        assert (err, self.process.returncode) == ("", 0)
        return out.splitlines()


@pytest.fixture
def begin():
    """Starts devices, and kills at the test's end what still runs."""
    started = []

    def begin(kind, *options):
        started.append(Command(kind, *options))
        return started[-1]

    yield begin
    for command in started:
        with command.process as process:
            process.kill()


@pytest.fixture
def plain():
    """Opens plain sockets."""
    with zmq.Context() as context:
        sockets = []

        def connected(kind, endpoint):
            socket = context.socket(kind)
            sockets.append(socket)
            socket.linger, socket.rcvtimeo = 0, DEADLINE_MS
            socket.connect(endpoint)
            return socket

        yield connected
        for socket in sockets:
            socket.close()


def both(frontend, backend):
    return "--frontend", frontend, "--backend", backend


# -- relaying -------------------------------------------------------------------------------------


@slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_queue_relays_until_a_signal_ends_it(begin, plain, number):
    queue = begin("queue", *both(ANYWHERE, ANYWHERE))
    assert (queue.said[1], queue.said[2], queue.said[4]) == ("ROUTER", "bound at", "DEALER")
    client, worker = plain(zmq.REQ, queue.frontend), plain(zmq.REP, queue.backend)
    client.send(b"Hello")
    assert worker.recv() == b"Hello"
    worker.send(b"World")
    assert client.recv() == b"World"
    assert queue.end(number) == []


@slow
def test_two_devices_make_a_chain_in_which_one_connects_to_the_other(begin, plain):
    first = begin("forwarder", *both(ANYWHERE, ANYWHERE))
    second = begin("forwarder", *both(first.backend, ANYWHERE), "--frontend-connect")
    assert (second.said[2], second.frontend) == ("connected to", first.backend)
    publisher = plain(zmq.XPUB, first.frontend)
    subscriber = plain(zmq.SUB, second.backend)
    subscriber.subscribe(b"98101")
    assert publisher.recv() == b"\x0198101"
    publisher.send(b"10001 no")
    publisher.send(b"98101 20 45")
    assert subscriber.recv() == b"98101 20 45"
    assert (second.end(), first.end()) == ([], [])


@slow
def test_a_streamer_prints_what_went_through(begin, plain):
    sink = begin("streamer", *both(ANYWHERE, ANYWHERE))
    options = ("--backend-connect", "--stats", "0.05")
    streamer = begin("streamer", *both(ANYWHERE, sink.frontend), *options)
    ventilator = plain(zmq.PUSH, streamer.frontend)
    worker = plain(zmq.PULL, sink.backend)
    for _ in range(1_500):
        ventilator.send(b"12345678")
        assert worker.recv() == b"12345678"
    while True:  # until a line knows of all
        shown = streamer.process.stdout.readline()
        pattern = (
            r"to backend [\d,]+/s [\d.]+ k?B/s, ([\d,]+) frames ([\d.]+ k?B) in all; "
            r"to frontend 0/s 0 B/s, 0 frames 0 B in all\n"
        )
        found = re.fullmatch(pattern, shown)
        assert found, shown
        if found[1] == "1,500":
            break
    assert found[2] == "12.0 kB"
    streamer.end()


@slow
def test_a_device_whose_output_nobody_reads_ends_without_a_word(begin):
    queue = begin("queue", *both(ANYWHERE, ANYWHERE), "--stats", "0.05")
    queue.process.stdout.close()
    assert queue.process.stderr.read() == ""
    assert queue.process.wait(100) == 0


# -- what it says ---------------------------------------------------------------------------------


def at(second, there=Flow(), back=Flow(), *, is_paused=False, is_held_up=False):  # noqa: B008 frozen
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    faces = Face("XSUB", "tcp://*:5556"), Face("XPUB", "tcp://*:8100")
    return DeviceStatistics(*faces, there, back, moment, moment, is_paused, is_held_up)


@pytest.mark.parametrize(
    ("last", "now", "says"),
    [
        (
            at(0),
            at(2, Flow(3_000, 96_000), Flow(2, 12)),
            (
                "to backend 1,500/s 48.0 kB/s, 3,000 frames 96.0 kB in all; "
                "to frontend 1/s 6 B/s, 2 frames 12 B in all"
            ),
        ),
        (
            at(0, Flow(2_000_000, 5_000_000_000_000)),
            at(1, Flow(3_000_000, 5_001_500_000_000), is_paused=True),
            (
                "to backend 1,000,000/s 1.5 GB/s, 3,000,000 frames 5,001.5 GB in all; "
                "to frontend 0/s 0 B/s, 0 frames 0 B in all (paused)"
            ),
        ),
        (
            at(1, Flow(5, 5_000_000)),
            at(1, Flow(5, 5_000_000), is_held_up=True),
            (
                "to backend no news, 5 frames 5.0 MB in all; "
                "to frontend no news, 0 frames 0 B in all (waits for a receiver)"
            ),
        ),
    ],
)
def test_a_line_of_statistics_has_rates_totals_and_what_is_unusual(last, now, says):
    assert line(last, now) == says


async def test_a_device_that_stops_by_itself_ends_the_command(capsys):
    class Short(Forwarder):
        async def on_start(self) -> None:
            await super().on_start()
            self.after(0, self.leave)

        def leave(self) -> None:
            self.ref.stop()

    faces = Face("XSUB", ANYWHERE), Face("XPUB", ANYWHERE)
    with pytest.raises(LifecycleError, match="the short has stopped"):
        await _run(Short, faces, None)


# -- what cannot be -------------------------------------------------------------------------------

MISTAKES = [
    (("queue",), 2, "Missing option '--frontend': see `actormq device --help`"),
    (("queue", "--frontend", ANYWHERE), 2, "Missing option '--backend'"),
    (("broker", *both(ANYWHERE, ANYWHERE)), 2, "'broker' is not one of 'queue', 'forwarder', 'st"),
    (("queue", *both(ANYWHERE, ANYWHERE), "--stats", "0"), 2, "0.0 is not in the range x>0"),
    (("queue", *both(ANYWHERE, ANYWHERE), "--stats", "often"), 2, "'often' is not a valid float"),
    (("queue", *both(ANYWHERE, "tcp://127.0.0.1")), 1, "queue, backend: 'tcp://127.0.0.1' lacks a"),
    (("streamer", *both("udp://*:1", ANYWHERE)), 1, "streamer, frontend: 'udp://*:1' is no endpoi"),
    (("queue", *both("tcp://*:5559", "tcp://*:5559")), 1, "tcp://*:5559 are one place: a device"),
    (("queue", *both("inproc://a", ANYWHERE)), 1, "'inproc://a' reaches nobody, for a device has"),
    (("queue", *both("", ANYWHERE)), 1, "Queue has no frontend: give it an endpoint"),
]


@slow
@pytest.mark.parametrize(("words", "status", "says"), MISTAKES)
def test_a_mistake_gets_one_line_and_a_status(words, status, says):
    done = subprocess.run(
        [*ACTORMQ, *words], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("actormq: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@slow
def test_a_port_in_use_gets_one_line_and_a_status():
    with zmq.Context() as context, context.socket(zmq.REP) as holder:
        holder.bind(ANYWHERE)
        taken = holder.LAST_ENDPOINT.decode()
        done = subprocess.run(
            [*ACTORMQ, "queue", *both(ANYWHERE, taken)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"actormq: queue, backend: {taken} is in use by another program: stop that one, "
        "or take another port\n"
    )

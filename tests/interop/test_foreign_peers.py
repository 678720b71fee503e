"""Our examples and programs that know nothing of actormq stand in for each other, role by role."""

import re

import pytest

pytestmark = pytest.mark.slow

WORKERS = 4  # our ventilator's batch is 5 s of work: four share it
READING = re.compile(r"\d{5} -?\d+ \d+")  # ZIP TEMP HUMIDITY


def casts(*ours):
    """Parametrize a test over who is ours: each cast names its roles, foreign peers do the rest."""
    return pytest.mark.parametrize("cast", ours, ids=lambda cast: f"our {cast}")


@pytest.fixture
def play(ours, foreign, cast):
    """Start the program of a role: ours if the cast names it, else the foreign one."""

    def play(role, *arguments, **options):
        return (ours if role in cast.split(" and ") else foreign)(role, *arguments, **options)

    return play


def replies(client):
    return [line for line in client.ended() if "World" in line]


# -- request and reply ----------------------------------------------------------------------------


@casts("hello-server", "hello-client")
def test_ten_hellos_are_answered_with_world(play, port):
    server = play("hello-server", port=port)
    assert len(replies(play("hello-client", port=port))) == 10
    server.line("Hello")


@casts("queue", "hello-server and hello-client")
def test_a_queue_stands_between_clients_and_a_server(play, ports):
    frontend, backend = ports(2)
    play("queue", frontend_port=frontend, backend_port=backend)
    play("hello-server", "--connect", port=backend)
    clients = [play("hello-client", port=frontend) for _ in range(2)]
    assert [len(replies(client)) for client in clients] == [10, 10]


# -- publish and subscribe ------------------------------------------------------------------------


def mean(client):
    """All numbers of the line that tells the mean: its wording is the example's own."""
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", client.ended()[-1])]


def test_a_foreign_client_reads_our_weather(ours, foreign, port):
    ours("weather-server", port=port)
    readings = foreign("weather-client", port=port, zip=10001, count=20).ended()
    assert len(readings) == 20
    assert [line for line in readings if not line.startswith("10001 ")] == []
    assert [line for line in readings if not READING.fullmatch(line)] == []


def test_our_client_divides_foreign_weather_rightly(ours, foreign, port):
    foreign("weather-server", port=port)
    assert 67.0 in mean(ours("weather-client", "10007", port=port, count=20))


def test_our_proxy_stands_between_a_foreign_server_and_its_client(ours, foreign, ports):
    server, proxy = ports(2)
    foreign("weather-server", port=server)
    ours("proxy", port=server, proxy_port=proxy)
    readings = foreign("weather-client", port=proxy, zip=10004, count=20).ended()
    assert readings == ["10004 64 50"] * 20


def test_a_foreign_proxy_stands_between_our_server_and_our_client(ours, foreign, ports):
    server, proxy = ports(2)
    ours("weather-server", port=server)
    foreign("proxy", port=server, proxy_port=proxy)
    assert mean(ours("weather-client", "10001", port=proxy, count=5)) != []


# -- pipeline -------------------------------------------------------------------------------------


@casts(
    *("ventilator", "worker", "sink"),
    *("worker and sink", "ventilator and sink", "ventilator and worker"),
)
def test_a_batch_goes_from_ventilator_to_workers_to_sink(play, cast, ports):
    tasks, results = ports(2)
    sink = play("sink", port=results)
    count, option = (WORKERS, {"workers": WORKERS}) if "ventilator" in cast else (1, {})
    workers = [play("worker", port=tasks, sink_port=results) for _ in range(count)]
    ventilator = play("ventilator", port=tasks, **option)
    ventilator.say("")  # Enter
    assert re.search(r"\d", sink.ended()[-1])  # it has had the start and a hundred results
    ventilator.close_input()
    ventilator.ended()
    if "worker" not in cast:
        done = [line for worker in workers for line in worker.lines]
        assert len(done) == 101
        assert done.count("0") == 1
        assert {int(line) for line in done} <= set(range(101))


def test_our_reader_hears_a_foreign_ventilator_and_a_foreign_weather_server(ours, foreign, ports):
    tasks, weather = ports(2)
    foreign("weather-server", port=weather)
    reader = ours("multi-reader", task_port=tasks, weather_port=weather, zip=10009)
    foreign("ventilator", port=tasks).say("go")
    reader.line(r"\b10009\b.*\b69 50\b")
    reader.line(r"\b[123]\b")


def test_our_reader_hears_our_ventilator_that_was_told_yes(ours, ports):
    tasks, weather = ports(2)
    ours("weather-server", port=weather)
    reader = ours("multi-reader", task_port=tasks, weather_port=weather)
    ours("ventilator", "--yes", port=tasks).ended()
    reader.line(r"\b10001\b.*\d")

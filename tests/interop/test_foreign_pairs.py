"""The foreign programs understand each other: what fails against ours is then ours."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(
    params=[("python", "c", "node"), ("c", "node", "python"), ("node", "python", "c")],
    ids=" then ".join,
)
def three(request, programs):
    """Start peers in three languages, `three(0, ROLE, ...)` the first; each has each place once."""

    def start(place, role, *arguments, **options):
        return programs.peer(request.param[place], role, *arguments, **options)

    return start


def port_of(program):
    return program.line(r"^bound (\d+)$")[1]


def test_a_queue_joins_peers_of_other_languages(three, ports):
    frontend, backend = ports(2)
    queue = three(0, "queue", frontend_port=frontend, backend_port=backend)
    server = three(1, "hello-server", "--connect", port=backend)
    assert three(2, "hello-client", port=frontend, count=3).ended() == ["World"] * 3
    assert server.lines == ["Hello"] * 3
    assert queue.lines == [f"bound {frontend}", f"bound {backend}"]


def test_a_proxy_joins_peers_of_other_languages(three):
    proxy = three(0, "proxy", port=port_of(three(1, "weather-server", port=0)), proxy_port=0)
    client = three(2, "weather-client", port=port_of(proxy), zip=10003, count=5)
    assert client.ended() == ["10003 63 50"] * 5


def test_a_batch_goes_through_peers_of_three_languages(three):
    ventilator, sink = three(0, "ventilator", port=0), three(2, "sink", port=0)
    worker = three(1, "worker", port=port_of(ventilator), sink_port=port_of(sink))
    ventilator.say("go")
    assert sink.line(r"^elapsed (\d+) ms$")
    sink.ended()
    ventilator.close_input()
    assert ventilator.ended()[1:] == ["sent 100"]
    assert worker.lines[0] == "0"
    assert {int(line) for line in worker.lines[1:]} == {1, 2, 3}
    assert len(worker.lines) == 101

"""`actormq demo weather` and `actormq demo host`: real readings through a few real nodes.

The stations, the statistics and the view are nodes of their own, in processes of their own, and
find each other by zeroconf. This process is the node with the recorder and the view.
"""

import asyncio
import contextlib
import math
import secrets
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from actormq import ActormqError, Node, Ref, SetupError, run
from apps.processes import Part, Processes, ProcessFailed
from apps.weather.host import host_name
from apps.weather.index import Index, index_of
from apps.weather.listeners import Average, Extremes, LiveView
from apps.weather.messages import Account, Means, Progress, Ranges, Recorded
from apps.weather.observations import ObservationFileError, shipped_data
from apps.weather.recorder import Recorder
from apps.weather.screen import Screen
from apps.weather.statistics import differences, direct

APPEAR = 30.0  # s for a node to start on a slow machine: Python and its imports, twice over
ENDING = 30.0  # s for all nodes to end in order; the processes of this one are Python as well
STALL = 30.0  # s without a message before a replay is held for stuck
LISTENERS = 4  # averages, extremes, recorder and view hear every station
VIEW = "view"  # the node of this process


class Outcome(msgspec.Struct):
    """What came out of a replay, as `--json` prints it.

    Attributes:
        stations: Station to column to count, mean, min and max.
        published: Observations published, a count.
        received: Observations that reached the averages, a count.
        missed: Messages that one of the listeners missed, a count.
        nodes: Names of the nodes.
        seconds: From the first observation to the last.
    """

    stations: dict[str, dict[str, dict[str, float]]]
    published: int
    received: int
    missed: int
    nodes: list[str]
    seconds: float


def layout(stations: Sequence[str], nodes: int, data: str, speed: float) -> dict[str, list[Part]]:
    """Say which node runs what, the view's own actors left out.

    Args:
        stations: Names of the stations to replay.
        nodes: How many nodes there are, the view among them.
        data: The file.
        speed: Observations a second and station.

    Returns:
        Node to its parts: with one node all stand under the view, with two the statistics do;
        from three on the stations are spread over what is left.
    """
    replays = [
        Part(
            "apps.weather:Station",
            f"station-{name}",
            {"station": name, "data": data, "speed": speed, "autostart": False},
        )
        for name in stations
    ]
    statistics = [
        Part("apps.weather:Average", "average"),
        Part("apps.weather:Extremes", "extremes"),
    ]
    if nodes == 1:
        return {VIEW: replays + statistics}
    if nodes == 2:  # noqa: PLR2004 the case of the docstring
        return {"stations": replays, VIEW: statistics}
    hosts = nodes - 2
    names = ["stations"] if hosts == 1 else [f"stations-{n + 1}" for n in range(hosts)]
    spread = {name: replays[n::hosts] for n, name in enumerate(names)}
    return {**spread, "statistics": statistics, VIEW: []}


def weather(data: str | None, speed: float, nodes: int, as_json: bool) -> bool:
    """Replay a file and show what comes out; see `actormq demo weather --help`.

    Returns:
        Whether it came to its end; False if somebody ended it before.

    Raises:
        SetupError: The file or the speed is of no use, or a node did not start.
        SystemExit: With 1 if something was missed, or the figures are not those of the file.
    """
    if not (math.isfinite(speed) and speed >= 0):
        raise SetupError(f"--speed {speed} is no number of records a second, 0 or more")
    try:
        path = Path(data).resolve() if data is not None else shipped_data()
        index = index_of(path)
        replay = Replay(index, speed, nodes, Screen(as_json))
        is_right = run(
            replay.main, name=VIEW, mesh=f"demo-{secrets.token_hex(3)}", shutdown_timeout=ENDING
        )
    except (ObservationFileError, ProcessFailed) as error:
        raise SetupError(str(error)) from error
    if not is_right:
        raise SystemExit(1)
    return not replay.was_ended


class Replay:
    """One run of the weather demo.

    Args:
        index: The file's stations.
        speed: Observations a second and station; 0 for no limit.
        nodes: How many nodes.
        screen: Where to show it.

    Attributes:
        was_ended: Whether somebody ended it before its end.
    """

    def __init__(self, index: Index, speed: float, nodes: int, screen: Screen) -> None:
        self._index = index
        self._screen = screen
        self._layout = layout(list(index.stations), nodes, str(index.path), speed)
        self._seconds = 0.0
        self.was_ended = False

    async def main(self, node: Node) -> bool:
        """Run it on this node, and on as many more as it takes.

        Returns:
            Whether everything arrived and the figures are right, or somebody ended it early.
        """
        self._screen.say(self._greeting())
        with tempfile.TemporaryDirectory(prefix="actormq-") as folder:
            async with Processes(node.mesh) as processes:
                try:
                    return await self._run(node, processes, str(Path(folder) / "weather.sqlite"))
                except asyncio.CancelledError:
                    # Tidying up takes a moment; a second Ctrl-C must not leave half of it.
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
                    self.was_ended = True
                    self._screen.say("stopped early: here is what had come by then")
                    await self._finish(node)
                    return True
                except ActormqError as error:
                    processes.check()  # a process that died explains it better
                    raise SetupError(str(error)) from error

    def _greeting(self) -> str:
        index, skipped = self._index, ""
        if index.skipped:
            skipped = f", {counted(index.skipped, 'line')} skipped"
            for line in index.examples[:3]:
                skipped += f"\n  line {line.line} {line.reason}"
        return (
            f"{counted(index.observations, 'observation')} of "
            f"{counted(len(index.stations), 'station')} from {index.path.name}{skipped}\n"
            f"{counted(len(self._layout), 'node')}: {', '.join(self._layout)}"
        )

    async def _run(self, node: Node, processes: Processes, database: str) -> bool:
        for name, parts in self._layout.items():
            if name != VIEW:
                await processes.start(name, parts)
        await node.spawn(Recorder, "recorder", database)
        await node.spawn(LiveView, VIEW)
        for part in self._layout[VIEW]:
            await spawn_part(node, part)
        names = ["average", "extremes", *(f"station-{name}" for name in self._index.stations)]
        refs = dict(zip(names, [await appear(node, processes, n) for n in names], strict=True))
        begun = time.monotonic()
        for name in names[2:]:
            refs[name].tell("replay", LISTENERS)
        await self._watch(node, processes)
        self._seconds = time.monotonic() - begun
        return await self._finish(node)

    async def _watch(self, node: Node, processes: Processes) -> None:
        """Draw until every listener has heard the end of every station."""
        view: Ref[LiveView] = await node.find(VIEW, timeout=0)
        view.tell(LiveView.show_nodes, list(self._layout))
        asked: list[Ref[Any]] = [await node.find(n, timeout=0) for n in ("average", "extremes")]
        recorder: Ref[Recorder] = await node.find("recorder", timeout=0)
        wanted, moved_at, before = len(self._index.stations), time.monotonic(), -1
        with self._screen.live() as draw:
            while True:
                processes.check()
                state = await view.ask(LiveView.state)
                draw(state)
                accounts = [convert(await ref.ask("account"), Account) for ref in asked]
                ended = sum(station.ended for station in state.stations)
                if ended == wanted and all(len(a.ended) == wanted for a in accounts):
                    recorded = await recorder.within(STALL).ask(Recorder.sync)
                    if sum(position.ends for position in recorded.positions) == wanted:
                        return
                if state.received != before:
                    moved_at, before = time.monotonic(), state.received
                if time.monotonic() - moved_at > STALL:
                    raise SetupError(f"nothing has come for {STALL:g} s: see `actormq ps`")
                await asyncio.sleep(self._screen.frame)

    async def _finish(self, node: Node) -> bool:
        """Ask everybody what came of it, show it, and hold it against the file."""
        try:
            outcome, means, ranges = await self._gather(node)
        except ActormqError:
            self._screen.say("nothing had come yet")
            return True
        self._screen.results(outcome, means, ranges)
        if not self._seconds:  # somebody ended it early: there is nothing to compare
            return True
        wrong = differences(await asyncio.to_thread(direct, self._index.path), means, ranges)
        for sentence in wrong:
            self._screen.say(f"wrong: {sentence}")
        lost = outcome.published - outcome.received
        if not wrong and not outcome.missed and not lost:
            self._screen.say("every observation arrived, and the figures are those of the file")
            return True
        self._screen.say(f"{outcome.missed} messages missed, {lost} observations lost")
        return False

    async def _gather(self, node: Node) -> tuple[Outcome, Means, Ranges]:
        average: Ref[Any] = await node.find("average", timeout=1)
        means = convert(await average.ask(Average.averages), Means)
        account = convert(await average.ask("account"), Account)
        extremes: Ref[Any] = await node.find("extremes", timeout=1)
        ranges = convert(await extremes.ask(Extremes.extremes), Ranges)
        recorder: Ref[Recorder] = await node.find("recorder", timeout=1)
        recorded: Recorded = await recorder.ask(Recorder.sync)
        view: Ref[LiveView] = await node.find(VIEW, timeout=1)
        seen = await view.ask(LiveView.account)
        published = 0
        for name in self._index.stations:
            station: Ref[Any] = await node.find(f"station-{name}", timeout=1)
            published += convert(await station.ask("progress"), Progress).published
        heard = [account.observations, recorded.rows, seen.observations]
        outcome = Outcome(
            stations=figures(means, ranges),
            published=published,
            received=min(heard),
            missed=max(account.missed, recorded.missed, seen.missed),
            nodes=list(self._layout),
            seconds=round(self._seconds, 3),
        )
        return outcome, means, ranges


def counted(count: int, noun: str) -> str:
    """A number and its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def figures(means: Means, ranges: Ranges) -> dict[str, dict[str, dict[str, float]]]:
    """Put averages and extremes together: station to column to count, mean, min, max."""
    return {
        station: {
            column: {
                "count": mean.count,
                "mean": mean.mean,
                "min": ranges[station][column].low.value,
                "max": ranges[station][column].high.value,
            }
            for column, mean in columns.items()
            if column in ranges.get(station, {})
        }
        for station, columns in means.items()
    }


async def appear(node: Node, processes: Processes, name: str) -> Ref[Any]:
    """Wait for an actor of another node, as long as the processes live."""
    end = time.monotonic() + APPEAR
    while True:
        processes.check()
        with contextlib.suppress(ActormqError):
            return await node.find(name, timeout=0.5)
        if time.monotonic() > end:
            raise SetupError(
                f"{name!r} did not appear within {APPEAR:g} s: the nodes have not found each "
                "other by zeroconf, or the machine is very slow"
            )


async def spawn_part(node: Node, part: Part) -> None:
    """Start on this node what otherwise a process would run."""
    import apps.weather  # noqa: PLC0415 its actors are loaded when asked for

    kind = getattr(apps.weather, part.kind.partition(":")[2])
    await node.spawn(kind, part.name, **part.args)


def convert(value: Any, kind: Any) -> Any:
    """Make a reply from another node what it was there; one of this node is that already."""
    return msgspec.convert(value, kind, from_attributes=False) if _is_plain(value) else value


def _is_plain(value: Any) -> bool:
    return isinstance(value, Mapping)


def host(seconds: float | None, as_json: bool) -> None:
    """Watch this machine; see `actormq demo host --help`.

    Raises:
        SetupError: A node did not start.
    """
    try:
        run(
            HostWatch(seconds, Screen(as_json)).main, name=VIEW, mesh=f"demo-{secrets.token_hex(3)}"
        )
    except ProcessFailed as error:
        raise SetupError(str(error)) from error


class HostWatch:
    """One run of the host demo.

    Args:
        seconds: How long; None until Ctrl-C.
        screen: Where to show it.
    """

    def __init__(self, seconds: float | None, screen: Screen) -> None:
        self._seconds = seconds
        self._screen = screen

    async def main(self, node: Node) -> None:
        """Run it: this machine's station in a process of its own, the view here."""
        station = host_name()
        async with Processes(node.mesh) as processes:
            await processes.start("host", [Part("apps.weather:HostStation", station)])
            view = await node.spawn(LiveView, VIEW)
            with contextlib.suppress(asyncio.CancelledError):
                await appear(node, processes, station)
                view.tell(LiveView.show_nodes, ["host", VIEW])
                await self._watch(view, processes)
            state = await view.ask(LiveView.state)
            self._screen.host(state)

    async def _watch(self, view: Ref[LiveView], processes: Processes) -> None:
        end = math.inf if self._seconds is None else time.monotonic() + self._seconds
        with self._screen.live() as draw:
            while time.monotonic() < end:
                processes.check()
                draw(await view.ask(LiveView.state))
                await asyncio.sleep(self._screen.frame)

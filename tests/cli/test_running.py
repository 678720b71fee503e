"""What `actormq node` makes of a file: actors in their order, supervised where it says so."""

import pytest

from actormq import Actor, RemoteError, StartFailed, handler
from actormq.cli import main
from actormq.cli.running import _spawn
from actormq.topology import Plan

STARTED = []


class Part(Actor):
    async def on_start(self) -> None:
        STARTED.append(self.name)

    @handler
    def fail(self) -> None:
        raise OSError("no sensor")


class Unborn(Actor):
    async def on_start(self) -> None:
        raise OSError("no sensor")


async def test_those_that_are_to_be_restarted_have_a_supervisor(node, logged):
    logged.expect("kept.fail failed: it is restarted")
    STARTED.clear()
    plans = [Plan(Part, "first", {}), Plan(Part, "kept", {}, "always"), Plan(Part, "last", {})]
    await _spawn(node, plans)
    assert STARTED == ["first", "kept", "last"]
    for name in ("first", "kept"):
        ref = await node.find(name)
        with pytest.raises(RemoteError):
            await ref.ask("fail")
        with pytest.raises(RemoteError):
            await ref.ask("fail")
    assert STARTED[3:] == ["kept"]


@pytest.mark.parametrize("restart", [None, "always"])
async def test_one_that_does_not_start_says_why(node, restart):
    with pytest.raises(StartFailed, match="on_start raised OSError: no sensor"):
        await _spawn(node, [Plan(Unborn, "unborn", {}, restart)])


def test_a_file_for_events_that_cannot_be_written_is_refused_before_anything_starts(
    tmp_path, capsys
):
    with pytest.raises(SystemExit) as ended:
        main(args=["node", "--events", str(tmp_path)])
    assert ended.value.code == 1
    assert f"actormq: --events {tmp_path}: it cannot be written" in capsys.readouterr().err

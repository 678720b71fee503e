"""A sender that is too fast costs a bounded amount of memory, however long it goes on."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "pressure.py"
MB = 1_000_000  # bytes
PER_MESSAGE = 1_000  # bytes that one that waits takes at most, in the mailbox and as a dead letter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mesh_name")]


@pytest.fixture(scope="module")
def pressure():
    spec = importlib.util.spec_from_file_location("pressure_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("way", ["wait", "refuse"])
async def test_neither_side_grows_under_pressure(way, pressure):
    curves = await pressure.press(way, 2.0, limit=500)

    settled = int(len(curves.sender) * pressure.SETTLED)
    grown = {
        who: max(curve[settled:]) - curve[settled]
        for who, curve in (("sender", curves.sender), ("receiver", curves.receiver))
    }
    assert curves.ledger["dropped"]["MailboxFull"] > 100  # it was too fast
    assert max(grown.values()) < 2 * MB, grown
    if way == "refuse":  # had it kept them all, it would have grown more
        assert curves.offered * PER_MESSAGE > 4 * MB


@pytest.mark.parametrize("way", ["wait", "refuse"])
async def test_whatever_became_of_them_is_counted(way, pressure):
    curves = await pressure.press(way, 0.5, limit=100)

    ledger = curves.ledger
    dropped = sum(ledger["dropped"].values())
    assert ledger["in_flight"] <= 100
    assert set(ledger["dropped"]) <= {"MailboxFull"}
    assert dropped > 0
    assert ledger["sent"] == ledger["delivered"] + dropped + ledger["in_flight"]

"""Actors in threads and processes take part in circles over several nodes."""

import askers
import pytest

from actormq import RemoteError
from actormq.cluster import probes

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "kinds",
    [
        (askers.Process, askers.Loop),
        (askers.Loop, askers.Process),
        (askers.Thread, askers.Loop),
        (askers.Loop, askers.Thread),
    ],
    ids=lambda kinds: " ".join(kind.__name__ for kind in kinds),
)
async def test_a_circle_over_two_nodes_is_told(mesh, monkeypatch, kinds):
    monkeypatch.setattr(probes, "PROBE_AFTER", 0.2)
    monkeypatch.setattr("actormq.waits.CHILD_GRACE", 0.1)
    here, there = await mesh.pair()
    one = await here.spawn(kinds[0], "one")
    await there.spawn(kinds[1], "two")
    await here.find("two")
    await there.find("one")
    with pytest.raises(RemoteError) as caught:
        await one.within(20).ask("ask", [["two", "ask"], ["one", "fine"]])
    assert "one.ask -> two.ask -> one.fine (behind one.ask): they would await" in str(caught.value)
    assert await one.ask("fine") == "fine"
    assert all(node.ledger().is_balanced for node in mesh.nodes)

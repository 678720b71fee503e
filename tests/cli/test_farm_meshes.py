"""Which mesh `actormq farm status` is about: the one that was named, or the one that has farms."""

import logging
import os

import pytest

from actormq import MeshNotFound, Node
from actormq.cli.farm import meshes
from actormq.cli.farm.asked import Status, asked
from actormq.cluster.discovery import Announcement
from actormq.farm.reports import FarmReport, Progress, WorkerReport
from actormq.message import PROTOCOL

FARM = FarmReport("count", "roof", ["words:count"], Progress(), {}, {})
WORKER = WorkerReport("cellar", 4, 0, {}, 0, 0)

BUSY = Status("busy", [FARM], [])
BUSY_TOO = Status("bustle", [FARM], [WORKER])
READY = Status("ready", [], [WORKER])
READY_TOO = Status("set", [], [WORKER])
EMPTY = Status("empty", [], [])
USUAL = Status("default", [], [])


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ([EMPTY, BUSY, READY], "busy"),
        ([USUAL, BUSY], "busy"),
        ([EMPTY, READY], "ready"),
        ([USUAL, READY], "ready"),
        ([USUAL, EMPTY], "default"),
        ([Status("default", [], [WORKER]), READY], "default"),
        ([Status("default", [FARM], []), READY], "default"),
    ],
)
def test_the_mesh_that_has_a_farm_is_meant_or_workers_or_the_usual_one(found, meant):
    assert meshes.with_farms(found) == meant


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([BUSY, EMPTY, BUSY_TOO], "there are farms in several meshes, busy, bustle:"),
        (
            [BUSY, Status("default", [FARM], [])],
            "there are farms in several meshes, busy, default:",
        ),
        (
            [READY, READY_TOO, EMPTY],
            "there are workers, and no farms, in several meshes, ready, set:",
        ),
        (
            [EMPTY, Status("void", [], [])],
            "there are no farms in any of several meshes, empty, void:",
        ),
    ],
)
def test_where_several_may_be_meant_they_are_named(found, said):
    with pytest.raises(MeshNotFound) as caught:
        meshes.with_farms(found)
    assert str(caught.value) == f"{said} choose one with --mesh"


def announcement(node):
    return Announcement(
        node.mesh, node.id, node.name, f"loopback:{os.getuid()}", (node.address,), PROTOCOL
    )


@pytest.mark.slow
async def test_each_mesh_that_is_there_is_looked_into(mesh_name, monkeypatch):
    async with (
        Node(mesh=f"{mesh_name}-a", discovery=False) as without,
        Node(mesh=f"{mesh_name}-b", discovery=False) as having,
        having.farm("builtins:len", name="lengths", workers=0),
    ):
        gone = Announcement(
            f"{mesh_name}-c", "0" * 16, "x", "lan", ("tcp://127.0.0.1:1",), PROTOCOL
        )

        async def search(_options):
            return [gone, announcement(without), announcement(having)]

        level = logging.getLogger("actormq").level
        monkeypatch.setattr(meshes, "search", search)
        monkeypatch.setattr("actormq.cli.guest.SEARCH", 0.5)  # for the one that has gone
        async with meshes.farm_guest({}) as guest:
            (farm,) = (await asked(guest)).farms
            assert (guest.mesh, farm.name) == (having.mesh, "lengths")
        assert logging.getLogger("actormq").level == level

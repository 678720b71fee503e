"""A mesh on a real LAN whose lines are cut and whose processes are killed keeps its promises.

Several LANs have their troubles at the same time, since most of it is waiting: on some the lines
are cut, on the others processes are killed. The tests look at what all of them have found.
"""

import contextlib
import os
import random
import statistics

import pytest
from granted import Granted
from lan_hosts import Shape
from lan_nodes import Mesh
from lan_story import CUT, HEALED, KILLED, Story

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(float(os.environ.get("ACTORMQ_LAN_TIME", "300"))),
]

HOSTS = int(os.environ.get("ACTORMQ_LAN_HOSTS", "3"))
CUTS = int(os.environ.get("ACTORMQ_LAN_CUTS", "20"))
KILLS = int(os.environ.get("ACTORMQ_LAN_KILLS", "50"))
LANS = int(os.environ.get("ACTORMQ_LAN_LANS", "12"))  # that have their troubles at a time
SEED = int(os.environ.get("ACTORMQ_LAN_SEED", "1"))

SLOW = Shape(delay_ms=10, jitter_ms=5, loss=0.02)  # a third of the LANs that are cut


def shares(total, parts):
    """So many things, dealt out."""
    return [total // parts + (number < total % parts) for number in range(parts)]


def cuts_of(number, lans):
    """The cuts of one LAN: its part of all kinds in turn, in an order that is its own."""
    few = ["isolate", "pair", "flap", "one_way"]
    kinds = few if HOSTS <= 3 else [*few, "bridge", "partition", "mute", "freeze", "hang"]
    chosen = [kinds[index % len(kinds)] for index in range(number, CUTS, lans)]
    random.Random(SEED + number).shuffle(chosen)
    return chosen


def kills_of(count):
    """So many kills, one by one; of many nodes, some in twos."""
    twos = count // 4 if HOSTS > 3 else 0
    return ["kill_two"] * twos + ["kill"] * (count - 2 * twos)


@pytest.fixture(scope="module")
def stories(new_lan, nursery, tmp_path_factory):
    """All of it, told to its end; the meshes have stopped in order, and hold their last words."""
    folder = tmp_path_factory.mktemp("lans")
    cut_on = LANS - max(
        LANS * 5 // 12, 1
    )  # most of what a cut takes is waiting, of what a kill takes work
    plots = [cuts_of(number, cut_on) for number in range(cut_on)]
    plots += [kills_of(count) for count in shares(KILLS, LANS - cut_on)]
    meshes, told = [], []
    with Granted() as passed, contextlib.ExitStack() as stack:
        for number, plot in enumerate(plots):
            is_slow = number < cut_on and number % 3 == 2
            lan = new_lan(HOSTS, shape=SLOW if is_slow else None)
            hosts = {f"w{host}": host for host in lan.hosts}
            mesh = Mesh(nursery, lan, folder / f"lan-{number}", f"lan-{number}", hosts)
            meshes.append(mesh)
            stack.callback(mesh.close)
            for name in hosts:
                mesh.start(name)
            told.append(Story(mesh, plot, SEED * 1000 + number, passed))
            told[-1].start()
        for story in told:
            story.join()
        for mesh in meshes:
            mesh.stop()
    for story in told:
        if story.error is not None:
            raise story.error
    return told


def gathered(stories, name):
    return [item for story in stories for item in getattr(story.found, name)]


def shown(seconds):
    if not seconds:
        return "none"
    return f"median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s"


def test_what_is_dead_or_cut_off_is_known_in_time_and_what_is_healed_is_whole_in_time(stories):
    kills, cuts, heals = (gathered(stories, name) for name in ("kills", "cuts", "heals"))
    print(  # noqa: T201 for -s
        f"lan: {len(kills)} kills {shown(kills)} of {KILLED:.0f}; "
        f"{len(cuts)} silent cuts {shown(cuts)} of {CUT:.0f}; "
        f"{len(heals)} heals and starts {shown(heals)} of {HEALED:.0f}"
    )
    assert len(kills) == KILLS
    assert not (late := gathered(stories, "late")), "\n".join(late)


def test_nobody_is_held_for_dead_who_can_be_reached_and_all_see_all_at_the_end(stories):
    assert not (wrong := gathered(stories, "wrong")), "\n".join(wrong)


def test_messages_come_once_and_in_order_and_are_all_accounted_for(stories):
    for story in stories:
        for node in story.mesh.ended:
            assert node.broken == []
        ends = [node.stopped for node in story.mesh.ended if node.stopped is not None]
        assert len(ends) == HOSTS, "not all ended in order"
        for end in ends:
            ledger = end["ledger"]
            accounted = ledger["delivered"] + sum(ledger["dropped"].values()) + ledger["in_flight"]
            assert ledger["sent"] == accounted
            assert ledger["delivered"] > 0
        if len(story.mesh.ended) == HOSTS:  # nobody was killed, so all have told of what they sent
            traffic = {key: sum(end["traffic"][key] for end in ends) for key in ends[0]["traffic"]}
            assert traffic["received"] + traffic["unread"] <= traffic["sent"]

"""What a pair promises: two ends, each of which hears all that the other says."""

import asyncio

import pytest
import zmq

from actormq import LifecycleError, Pair

LOCAL = "tcp://127.0.0.1:*"
CODECS = ["raw", "text", "msgpack"]
STUCK = {"rcvhwm": 1, "rcvbuf": 65_536}  # of a peer that takes little while it does not read
LARGE = "x" * 5_000  # fills the system's own buffers soon


@pytest.mark.parametrize("codec", CODECS)
async def test_in_each_codec_a_plain_pair_is_talked_to_both_ways(
    owner, plain, until, codec, sample
):
    values, frames = sample
    pair = await owner(Pair(bind=LOCAL, codec=codec))
    other = plain.connected(zmq.PAIR, pair.end.endpoint)
    await pair.end.send(*values)
    assert await plain.heard(other) == [frames]
    await plain.say(other, *frames)
    await until(lambda: pair.came == [values])


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_who_binds_may_come_later(owner, plain, until, tmp_path, transport):
    endpoint = plain.free_endpoint() if transport == "tcp" else f"ipc://{tmp_path}/line"
    pair = await owner(Pair(connect=endpoint, codec="text"))
    await pair.end.send("early")
    other = await plain.bound_at(zmq.PAIR, endpoint)
    assert await plain.heard(other) == [[b"early"]]
    await plain.say(other, b"answer")
    await until(lambda: pair.came == [("answer",)])


async def test_over_inproc_it_matters_not_who_comes_first(owner, until):
    here = await owner(Pair(connect="inproc://line"))
    await here.end.send("early")
    there = await owner(Pair(bind="inproc://line"))
    await until(lambda: there.came == [("early",)])
    for number in range(3_000):  # past both marks
        await there.end.send(number)
    await until(lambda: len(here.came) == 3_000)
    assert here.came == [(number,) for number in range(3_000)]


@pytest.mark.parametrize("count", [1, 2])
async def test_the_two_ends_of_a_service_talk_both_ways(mesh, owner, until, count):
    for _ in range(count):
        near = await mesh.start()
    here = await owner(Pair(service="line"), near)
    there = await owner(Pair(service="line", bind=True), mesh.running[0])
    await here.end.ready(timeout=60)
    await here.end.send("question", [1])
    await until(lambda: there.came == [("question", [1])])
    await there.end.send("answer", [2])
    await until(lambda: here.came == [("answer", [2])])


async def test_a_third_end_is_turned_away_and_the_two_go_on(owner, plain, until):
    pair = await owner(Pair(bind=LOCAL, codec="text"))
    second = plain.connected(zmq.PAIR, pair.end.endpoint)
    await plain.say(second, b"1")
    await until(lambda: pair.came)
    third = plain.connected(zmq.PAIR, pair.end.endpoint)
    await until(lambda: pair.end.peer_count == 2)  # its handshake is good all the same
    await plain.say(third, b"lost")
    for number in range(2, 100):
        await plain.say(second, b"%d" % number)
        await pair.end.send(number)
    heard = [[b"%d" % number] for number in range(2, 100)]
    assert await plain.heard(second, 98) == heard
    await until(lambda: len(pair.came) == 99)
    assert pair.came == [(str(number),) for number in range(1, 100)]
    assert plain.all_from(third) == []
    assert pair.end.dropped.total() == 0


async def test_another_end_may_come_when_the_first_has_left(owner, plain, until):
    pair = await owner(Pair(bind=LOCAL, codec="text"))
    for round_ in range(3):
        other = plain.connected(zmq.PAIR, pair.end.endpoint)
        await plain.say(other, b"%d" % round_)
        await until(lambda round_=round_: pair.came == [(str(round_),)])
        await pair.end.send(round_)
        assert await plain.heard(other) == [[b"%d" % round_]]
        pair.came.clear()
        other.close()
        await until(lambda: not pair.end.peer_count)
    await pair.end.send("nobody")
    assert pair.end.waiting == 1
    assert pair.end.lost_count == 3


@pytest.mark.slow
async def test_behind_a_stuck_end_all_is_sent_dropped_or_counted_at_the_end(
    owner, plain, monkeypatch
):
    monkeypatch.setattr("actormq.patterns.outlet.CLOSE_SECONDS", 0.05)
    pair = await owner(Pair(bind=LOCAL, codec="text", full="drop"))
    plain.connected(zmq.PAIR, pair.end.endpoint, **STUCK)
    await pair.end.ready(timeout=60)
    for number in range(5_000):
        await pair.end.send(f"{number}{LARGE}")
        if not number % 100:
            await asyncio.sleep(0)
    end = pair.end
    assert end.sent + end.dropped["full"] + end.waiting == 5_000
    await pair.ref.stop()
    assert end.dropped["closed"] > 0
    assert (end.sent + end.dropped.total(), end.waiting) == (5_000, 0)
    with pytest.raises(LifecycleError):
        end.send_nowait("late")

"""Who hears what the runtime reports, for how long, and from which thread."""

import asyncio
import threading

import pytest

from actormq import Actor, AskTimeout, DeadLetter, MailboxFull, handler
from actormq.events import Events, LoopHeld, Notice

LETTER = DeadLetter("lamp", "set", "ActorStopped")
HOLD = LoopHeld("lamp", "set", 1.0, "", is_over=False)


def test_a_listener_hears_all_until_it_ends():
    events, heard, others = Events(), [], []
    end = events.listen(heard.append)
    events.listen(others.append)
    events.emit(LETTER)
    events.notice(30, "mind the %s", "step")
    end()
    end()
    events.emit(LETTER)
    assert heard == [LETTER, Notice(30, "mind the step")]
    assert len(others) == 3


def test_a_listener_may_hear_one_kind_only():
    events, heard = Events(), []
    events.listen(heard.append, DeadLetter)
    events.notice(30, "not this")
    events.emit(LETTER)
    assert heard == [LETTER]


def test_a_listener_that_ends_itself_or_another_leaves_the_rest_as_they_are():
    events, heard = Events(), []
    ends = []
    events.listen(lambda event: [end() for end in ends])
    ends.append(events.listen(heard.append))
    events.listen(heard.append)
    events.emit(LETTER)
    events.emit(LETTER)
    assert heard == [LETTER] * 3


def test_dead_letters_are_counted_by_reason_even_if_nobody_listens():
    events = Events()
    for count in (1, 5):
        events.emit(DeadLetter("lamp", "set", "full", count=count))
    events.emit(LETTER)
    assert events.dead_letter_count == {"full": 6, "ActorStopped": 1}


def test_a_listener_that_fails_is_logged_and_the_others_still_hear(logged):
    events, heard = Events(), []
    logged.expect("a listener failed on DeadLetter(actor='lamp', handler='set'")
    events.listen(lambda event: 1 / 0)
    events.listen(heard.append)
    events.emit(LETTER)
    assert heard == [LETTER]


def test_off_the_loop_only_those_hear_at_once_who_may():
    events, at_once, later, calls = Events(), [], [], []
    events.listen(at_once.append, LoopHeld, any_thread=True)
    events.listen(later.append, LoopHeld)
    events.listen(pytest.fail, DeadLetter)
    events.emit_from_thread(HOLD, calls.append)
    assert (at_once, later) == ([HOLD], [])
    calls[0]()
    assert (at_once, later) == ([HOLD], [HOLD])


class Slow(Actor):
    def __init__(self) -> None:
        self.gate = asyncio.Event()

    @handler
    async def wait(self) -> None:
        await self.gate.wait()

    @handler
    def set(self, level: int, *, colour: str = "red") -> None: ...


async def test_a_dead_letter_brings_the_message_that_was_lost(mesh, until):
    node, far = await mesh.pair(mailbox_limit=3)
    heard, theirs = [], []
    node.events.listen(heard.append, DeadLetter)
    far.events.listen(theirs.append, DeadLetter)
    slow = await node.spawn(Slow, "slow")
    waiting = slow.ask(Slow.wait)
    await asyncio.sleep(0)
    slow.tell(Slow.set, 1, colour="blue")
    with pytest.raises(AskTimeout):
        await slow.within(0.01).ask(Slow.set, 2)
    slow.tell(Slow.set, 3)
    with pytest.raises(MailboxFull):
        slow.tell(Slow.set, 4)  # its sender knows
    assert heard == []
    await slow.within(0.05).stop()
    assert [(one.reason, one.args, one.kwargs) for one in heard] == [
        ("ActorStopped", (1,), {"colour": "blue"}),
        ("ActorStopped", (3,), {}),
    ]
    with pytest.raises(Exception, match="cut off in the middle"):
        await waiting
    other = await far.spawn(Slow, "other")
    (await node.find("other")).tell("set", "much", colour=1)
    await until(lambda: theirs)
    assert (theirs[0].reason, theirs[0].args) == ("ArgumentMismatch", ("much",))
    assert "much" not in repr(theirs[0]).partition("detail=")[0]
    del other


async def test_a_node_tells_its_listeners_on_its_loop(mesh):
    node = await mesh.start()
    threads = []
    node.events.listen(lambda event: threads.append(threading.current_thread()), LoopHeld)
    await asyncio.to_thread(node.events.emit_from_thread, HOLD, node._runtime.loop.call_from_thread)
    await asyncio.sleep(0)
    assert threads == [threading.main_thread()]


def test_a_dead_letter_does_not_show_what_a_message_held():
    letter = DeadLetter("safe", "open", "ActorStopped", args=("12-34-56",), kwargs={"pin": 1234})

    assert repr(letter) == (
        "DeadLetter(actor='safe', handler='open', reason='ActorStopped', detail='', count=1)"
    )
    assert letter != DeadLetter("safe", "open", "ActorStopped")


def test_an_event_cannot_be_changed():
    with pytest.raises(AttributeError):
        Notice(20, "all is well").text = "nothing is"

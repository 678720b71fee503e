"""Dead letters, written down."""

import pytest

from actormq import Actor, handler
from actormq.testing import DeadLetters


class Desk(Actor):
    @handler
    def take(self, paper: int) -> None: ...

    @handler
    def close(self) -> None:
        self.ref.stop()


async def test_letters_of_every_node_are_written_down(mesh, dead_letters):
    near, far = await mesh.pair()
    ref = await far.spawn(Desk, "desk")
    distant = await near.find("desk")
    await ref.stop()
    distant.tell(Desk.take, 1)
    letter = await dead_letters.expect(handler="take", reason="ActorStopped")
    assert letter.detail.startswith("from n0")
    assert dead_letters.all == []


async def test_what_was_left_in_a_mailbox_is_written_down(node, dead_letters):
    ref = await node.spawn(Desk, "desk")
    ref.tell(Desk.close)
    ref.tell(Desk.take, 1)
    await dead_letters.expect(handler="take")


async def test_one_that_does_not_come_is_an_error_that_lists_those_that_did(node, dead_letters):
    ref = await node.spawn(Desk, "desk")
    ref.tell(Desk.close)
    ref.tell(Desk.take, 1)
    with pytest.raises(
        AssertionError,
        match=r"no dead letter \(actor 'desk', reason 'MailboxFull'\) within .*handler='take'",
    ):
        await dead_letters.expect("desk", reason="MailboxFull", within=0.05)


async def test_a_node_can_be_listened_to_without_a_fixture(node):
    letters = DeadLetters()
    letters.listen(node)
    ref = await node.spawn(Desk, "desk")
    ref.tell(Desk.close)
    ref.tell(Desk.take, 1)
    assert (await letters.expect()).actor == "desk"

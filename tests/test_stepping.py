import asyncio
import contextvars
import gc

import pytest

from actormq.stepping import SUSPENDED, Stepper

WHO = contextvars.ContextVar("who", default="nobody")


class Stage:
    """A stepper on a running loop, called as a cell does: from a callback, outside any task."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.stepper = Stepper(self.loop)

    async def step(self, coroutine, context=None):
        """Take the first step; the result, or the task that carries the coroutine on."""
        done = self.loop.create_future()

        def first():
            try:
                value = self.stepper.step(coroutine, context or contextvars.copy_context())
            except BaseException as error:  # noqa: BLE001 handed on to the test
                done.set_exception(error)
            else:
                done.set_result(self.stepper.task if value is SUSPENDED else value)

        self.loop.call_soon(first, context=contextvars.Context())
        return await done

    async def run(self, coroutine, context=None):
        """Run it to its end."""
        got = await self.step(coroutine, context)
        return await got if isinstance(got, asyncio.Task) else got


def staged(test):
    """Run a coroutine function with a stage."""

    async def body():
        stage = Stage()
        try:
            async with asyncio.timeout(60):
                await test(stage)
        finally:
            await stage.stepper.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(body())


async def quick():
    return "quick"


# -- coroutines that never suspend ------------------------------------------------------------


def test_a_coroutine_that_never_suspends_makes_no_task():
    async def test(stage):
        async def doubled(number):
            return number * 2

        await stage.step(doubled(0))  # makes the one spare
        tasks = asyncio.all_tasks()

        for number in range(100):
            assert await stage.step(doubled(number)) == number * 2

        assert asyncio.all_tasks() == tasks
        assert len(tasks) == 2

    staged(test)


def test_an_exception_in_the_first_step_is_raised_there():
    async def test(stage):
        async def fails():
            raise KeyError("k")

        with pytest.raises(KeyError):
            await stage.step(fails())
        assert await stage.step(quick()) == "quick"

    staged(test)


def test_the_first_step_has_a_current_task():
    async def test(stage):
        async def who():
            return asyncio.current_task()

        assert isinstance(await stage.step(who()), asyncio.Task)

    staged(test)


def test_no_task_is_current_after_a_step():
    async def test(stage):
        seen = []

        async def slow():
            await asyncio.sleep(0)

        def call():
            for coroutine in (quick(), slow()):
                stage.stepper.step(coroutine, contextvars.copy_context())
                seen.append(asyncio.current_task())
            stage.stepper.task.add_done_callback(lambda _: done.set_result(None))

        done = stage.loop.create_future()
        stage.loop.call_soon(call)
        await done

        assert seen == [None, None]

    staged(test)


# -- coroutines that suspend ------------------------------------------------------------------


def test_the_same_task_is_current_before_and_after_a_suspension():
    async def test(stage):
        async def twice():
            before = asyncio.current_task()
            await asyncio.sleep(0)
            return before, asyncio.current_task()

        task = await stage.step(twice())
        before, after = await task

        assert before is after is task

    staged(test)


def test_each_suspended_coroutine_has_a_task_of_its_own():
    async def test(stage):
        gate = asyncio.Event()

        async def wait(number):
            await gate.wait()
            return number

        tasks = [await stage.step(wait(number)) for number in range(20)]
        gate.set()

        assert len(set(tasks)) == 20
        assert await asyncio.gather(*tasks) == list(range(20))

    staged(test)


def test_what_it_awaits_may_be_awaited_by_others_too():
    async def test(stage):
        future = stage.loop.create_future()

        async def wait():
            return await future

        task = await stage.step(wait())
        other = asyncio.ensure_future(asyncio.gather(future, future))
        await asyncio.sleep(0)
        future.set_result("both")

        assert await task == "both"
        assert await other == ["both", "both"]

    staged(test)


def test_two_coroutines_may_await_one_future_within_the_same_tick():
    async def test(stage):
        future = stage.loop.create_future()
        tasks = []

        async def wait():
            return await future

        def both():
            for _ in range(2):
                stage.stepper.step(wait(), contextvars.copy_context())
                tasks.append(stage.stepper.task)
            future.set_result("done")

        stage.loop.call_soon(both)
        await future

        assert await asyncio.gather(*tasks) == ["done", "done"]

    staged(test)


def test_a_task_may_await_what_a_coroutine_has_begun_to_await():
    async def test(stage):
        future = stage.loop.create_future()

        async def wait():
            return await future

        def both():
            plain = stage.loop.create_task(wait())
            stage.stepper.step(wait(), contextvars.copy_context())
            tasks.extend([plain, stage.stepper.task])
            stage.loop.call_soon(future.set_result, "done")

        tasks = []
        stage.loop.call_soon(both)
        await future

        assert await asyncio.gather(*tasks) == ["done", "done"]

    staged(test)


def test_an_exception_after_a_suspension_is_the_tasks():
    async def test(stage):
        async def fails():
            await asyncio.sleep(0)
            raise KeyError("k")

        with pytest.raises(KeyError):
            await stage.run(fails())

    staged(test)


def test_an_exception_of_what_it_awaits_can_be_caught():
    async def test(stage):
        future = stage.loop.create_future()

        async def wait():
            try:
                await future
            except ValueError as error:
                await asyncio.sleep(0)
                return f"caught {error}"

        task = await stage.step(wait())
        future.set_exception(ValueError("bad"))

        assert await task == "caught bad"

    staged(test)


def test_asynchronous_generators_and_nested_coroutines_run_as_ever():
    async def test(stage):
        async def count():
            for number in range(3):
                await asyncio.sleep(0)
                yield number

        async def total():
            return sum([number async for number in count()])

        assert await stage.run(total()) == 3

    staged(test)


# -- what asks for the current task -----------------------------------------------------------


def test_a_timeout_that_begins_in_the_first_step_ends_what_suspends():
    async def test(stage):
        async def waits():
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            except TimeoutError:
                return "timed out"

        assert await stage.run(waits()) == "timed out"

    staged(test)


def test_a_timeout_of_nothing_ends_what_suspends():
    async def test(stage):
        async def waits():
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await stage.run(waits())

    staged(test)


def test_a_timeout_that_was_not_needed_does_not_hit_the_next_coroutine():
    async def test(stage):
        async def in_time():
            async with asyncio.timeout(0.005):  # noqa: ASYNC100 that it does not matter is the point
                return "in time"

        async def slow():
            await asyncio.sleep(0.02)
            return "slow"

        assert await stage.step(in_time()) == "in time"
        assert await stage.run(slow()) == "slow"

    staged(test)


def test_a_task_group_that_begins_in_the_first_step_waits_for_its_tasks():
    async def test(stage):
        async def child(number):
            await asyncio.sleep(0)
            return number

        async def parent():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(child(number)) for number in range(5)]
            return [task.result() for task in tasks]

        assert await stage.run(parent()) == [0, 1, 2, 3, 4]

    staged(test)


def test_a_task_group_whose_child_fails_cancels_the_rest_and_says_so():
    async def test(stage):
        cancelled = []

        async def fails():
            raise ValueError("child")

        async def waits():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append("sibling")
                raise

        async def parent():
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(waits())
                    group.create_task(fails())
                    await asyncio.Event().wait()
            except ExceptionGroup as group:
                return str(group.exceptions[0])

        assert await stage.run(parent()) == "child"
        assert cancelled == ["sibling"]

    staged(test)


# -- cancellation -----------------------------------------------------------------------------


def test_a_suspended_coroutine_hears_of_its_cancellation():
    async def test(stage):
        heard = []

        async def waits():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append("cancelled")
                raise

        task = await stage.step(waits())
        task.cancel()
        await asyncio.wait([task])

        assert heard == ["cancelled"]
        assert task.cancelled()

    staged(test)


@pytest.mark.parametrize("earlier", [0, 1], ids=["fresh spare", "spare that has waited"])
def test_a_coroutine_that_cancels_itself_hears_of_it_at_its_next_await(earlier):
    async def test(stage):
        for _ in range(earlier):
            await stage.step(quick())
            await asyncio.sleep(0)
        heard = []

        async def gives_up():
            asyncio.current_task().cancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                heard.append("cancelled")
                raise

        task = await stage.step(gives_up())
        await asyncio.wait([task])

        assert heard == ["cancelled"]
        assert task.cancelled()

    staged(test)


def test_a_cancellation_in_the_same_tick_as_the_suspension_is_heard():
    async def test(stage):
        heard, done = [], asyncio.Event()

        async def waits():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append("cancelled")
                raise
            finally:
                done.set()

        def call():
            stage.stepper.step(waits(), contextvars.copy_context())
            stage.stepper.task.cancel()

        stage.loop.call_soon(call)
        await done.wait()

        assert heard == ["cancelled"]

    staged(test)


def test_who_cancelled_itself_and_ended_leaves_the_next_one_alone():
    async def test(stage):
        async def reckless():
            asyncio.current_task().cancel()
            return "ended"

        async def next_one():
            await asyncio.sleep(0)
            return "well"

        assert await stage.step(reckless()) == "ended"
        assert await stage.run(next_one()) == "well"

    staged(test)


def test_a_cancellation_that_is_caught_is_over():
    async def test(stage):
        async def stubborn():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                return "stayed"

        task = await stage.step(stubborn())
        task.cancel()

        assert await task == "stayed"

    staged(test)


def test_awaiting_what_was_cancelled_raises_in_the_first_step():
    async def test(stage):
        future = stage.loop.create_future()
        future.cancel()

        async def waits():
            await future

        with pytest.raises(asyncio.CancelledError):
            await stage.step(waits())

    staged(test)


# -- contexts ---------------------------------------------------------------------------------


def test_contexts_are_kept_across_suspensions_and_apart_from_each_other():
    async def test(stage):
        async def keeps(name):
            WHO.set(name)
            await asyncio.sleep(0)
            seen = [WHO.get()]
            await asyncio.sleep(0.001)
            return [*seen, WHO.get()]

        tasks = [
            await stage.step(keeps(name), contextvars.Context()) for name in ("ann", "bob", "eve")
        ]

        assert await asyncio.gather(*tasks) == [["ann"] * 2, ["bob"] * 2, ["eve"] * 2]
        assert WHO.get() == "nobody"

    staged(test)


def test_the_context_that_was_given_is_the_one_it_runs_in():
    async def test(stage):
        context = contextvars.Context()
        context.run(WHO.set, "ann")

        async def reads():
            first = WHO.get()
            await asyncio.sleep(0)
            WHO.set("after")
            return first

        assert await stage.run(reads(), context) == "ann"
        assert context[WHO] == "after"

    staged(test)


def test_a_task_made_by_the_coroutine_inherits_its_context():
    async def test(stage):
        async def child():
            return WHO.get()

        async def parent():
            WHO.set("parent")
            await asyncio.sleep(0)
            return await asyncio.create_task(child())

        assert await stage.run(parent(), contextvars.Context()) == "parent"

    staged(test)


# -- the end ----------------------------------------------------------------------------------


def test_closing_lets_the_spare_go():
    async def test(stage):
        await stage.step(quick())
        await stage.stepper.close()
        await stage.stepper.close()

    staged(test)


def test_nothing_is_left_of_a_thousand_coroutines():
    async def test(stage):
        async def hop():
            await asyncio.sleep(0)

        await stage.run(hop())
        gc.collect()
        before = sum(isinstance(one, asyncio.Task) for one in gc.get_objects())
        for _ in range(1_000):
            await stage.run(hop())
        gc.collect()

        assert sum(isinstance(one, asyncio.Task) for one in gc.get_objects()) <= before + 2

    staged(test)

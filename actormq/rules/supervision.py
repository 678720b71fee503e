"""What one supervisor does about its children: facts in, actions out.

The semantics are those of OTP's `supervisor`. In its words: children are started in the order of
their list and stopped in the reverse one; each restart is entered into a history (`add_restart`),
and one more than the intensity within the period ends the supervisor; a start that fails during a
restart is one more restart (`try_again_restart`); a temporary child that is stopped because of a
sibling is taken off the list, others are started again.

What differs:

- OTP blocks while it stops and starts. Here each step is an action, and facts may come in between
  (see "Further failures").
- Before a restart there is a back-off (see `backoff`). A group waits after its members have been
  stopped, for as long as the child that failed has to. A child's count of restarts in a row begins
  anew once it has run for longer than the budget's period and longer than it had waited.
- OTP keeps a child on its list that was terminated by hand, or is transient and ended in order, and
  starts the latter again along with a failed sibling. Here both are forgotten: they are done.
- OTP leaves a group down for good if the child whose start it tries again is terminated by hand.
  Here the rest of the group is started, and at once: nothing is left to be waited for.
- Under `one_for_one` all children are stopped at once in the end, in reverse order, as OTP does for
  `simple_one_for_one` alone: ten thousand one after another would take too long.
- A child can be told to stop while it starts.
- A restart that fails while the whole node stops is not tried again: the child is forgotten.

**Further failures.** A group restart has three stages: its members are stopped, the back-off is
waited for, they are started one after another. What happens to a child that fails meanwhile by
itself, and would be restarted:

- While its group is being stopped, it joins: it is down already, and is not counted as one more
  restart. OTP does the same, as it finds the child dead when its turn to be stopped comes.
- A member that is up again while others are still to be started, and a child that is not a member
  (`rest_for_one`, started before the group): that is one more restart, of a group led by it, which
  holds all that the former one still had to start. OTP would first start the others, to stop them.

A child that ends and is not to be restarted is forgotten; the group goes on without it.
A child that is added while `begin` or a group restart is under way is started last of all.

**Ends.** One of `Done`, `GiveUp` and `StartFailed` comes last, once all children have ended. Once
`stop` was called it is `Done`, and comes exactly once, whatever else was under way.

Each fact costs the same however many children there are, but for a restart of a group and the end
of all, which look at each member a few times in all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

from actormq.errors import InternalError
from actormq.rules.actions import (
    Action,
    Done,
    End,
    Forget,
    GiveUp,
    Start,
    Started,
    StartFailed,
    Stop,
    Wait,
)
from actormq.rules.backoff import Backoff
from actormq.rules.charge import Charge, Phase, Run
from actormq.rules.restart import (
    RestartBudget,
    RestartHistory,
    RestartPolicy,
    Strategy,
    is_restarted,
)


class Supervision:
    """One supervisor's decisions.

    Children are known by keys, integers of the caller's choice that are never used twice.
    Facts about a key that is not known (any more) come late, and are answered by an empty list.

    Args:
        strategy: Whom it restarts when a child failed.
        budget: How many restarts it allows.
        backoff: How long it waits before each.
        chance: Draws a number evenly from 0 (within) to 1 (without).
    """

    def __init__(
        self,
        strategy: Strategy,
        budget: RestartBudget,
        backoff: Backoff,
        chance: Callable[[], float],
    ) -> None:
        self._strategy = strategy
        self._budget = budget
        self._backoff = backoff
        self._chance = chance
        self._history = RestartHistory(budget)
        self._children: dict[int, Charge] = {}  # in start order
        self._order = 0
        self._run: Run | None = None
        self._is_beginning = False
        self._end: End | None = None  # how it is to end
        self._is_over = False  # whether it has

    # -- what is known ----------------------------------------------------------------------------

    @property
    def keys(self) -> list[int]:
        """The children that are not forgotten, in start order."""
        return list(self._children)

    @property
    def is_stopping(self) -> bool:
        """Whether it is on its way to its end, or there."""
        return self._end is not None

    @property
    def history(self) -> tuple[float, ...]:
        """When the last restarts were decided on, in seconds; as many as the budget allows."""
        return self._history.times

    def phase(self, key: int) -> Phase | None:
        """Where a child is; None if it is not known (any more)."""
        child = self._children.get(key)
        return None if child is None else child.phase

    def restart_count(self, key: int) -> int:
        """How often a child was started again, also because of a sibling; 0 if it is not known."""
        child = self._children.get(key)
        return child.restart_count if child else 0

    def wants_back(self, key: int) -> bool:
        """Whether a child that ends now, and in order, is to be started again."""
        child = self._children.get(key)
        if child is None or child.is_leaving or self._end is not None:
            return False
        return child.phase != "stopping" and is_restarted(child.policy, is_error=False)

    # -- facts: the supervisor --------------------------------------------------------------------

    def begin(self, children: Sequence[tuple[int, RestartPolicy]]) -> list[Action]:
        """Start the children one after another.

        The list that completes it has `Started`, or, all having ended again, `StartFailed`,
        `GiveUp` or `Done`.

        Args:
            children: Their keys and when each is restarted, in start order.
        """
        if self._end is not None:
            return []
        for key, policy in children:
            self._enter(key, policy, is_dynamic=False)
        self._is_beginning = True
        self._run = Run(0, None, "starting", deque(self._children))
        return self._next_step(self._run)

    def stop(self) -> list[Action]:
        """Stop all children, in reverse start order, and start none any more.

        Under `one_for_one` all are stopped at once, under the others one after another.
        """
        if isinstance(self._end, Done):
            return []
        if self._end is None:
            return self._shut(Done())
        self._end = Done()
        return [self._end] if self._is_over else []

    # -- facts: its list --------------------------------------------------------------------------

    def add(self, key: int, policy: RestartPolicy) -> list[Action]:
        """Take one more child, which is started last in order.

        It ends in `started`, or, if it did not come up that first time, in `Forget`.
        """
        if self._end is not None:
            return [Forget(key)]
        child = self._enter(key, policy, is_dynamic=True)
        if self._run is None:
            return [self._started_anew(child)]
        if self._run.stage == "starting":
            self._run.queue.append(key)
        return []

    def remove(self, key: int) -> list[Action]:
        """Stop a child and forget it, at once if it is not running."""
        child = self._children.get(key)
        if child is None:
            return []
        if not child.is_running:
            return self._forgotten(child)
        child.is_leaving = True
        return [] if child.phase == "stopping" else [self._stopping(child)]

    # -- facts: a child ---------------------------------------------------------------------------

    def started(self, key: int, now: float) -> list[Action]:
        """A child is up.

        Args:
            key: The child.
            now: The present, in seconds.
        """
        child = self._children.get(key)
        if child is None or child.phase != "starting":
            return []
        child.phase, child.started_at, child.is_new = "up", now, False
        return self._after(child)

    def start_failed(self, key: int, now: float, is_last: bool = False) -> list[Action]:
        """A child could not be started.

        Args:
            key: The child.
            now: The present, in seconds.
            is_last: Whether nothing can be started any more; then it is not tried again.
        """
        return self._over(key, is_error=True, now=now, is_last=is_last)

    def ended(self, key: int, is_error: bool, now: float) -> list[Action]:
        """A child has ended, by itself or because it was told to.

        Args:
            key: The child.
            is_error: Whether it failed; looked at only if it was up and ended by itself.
            now: The present, in seconds.
        """
        return self._over(key, is_error, now)

    def _over(self, key: int, is_error: bool, now: float, *, is_last: bool = False) -> list[Action]:
        child = self._children.get(key)
        if child is None or not child.is_running:
            return []
        if self._end is not None:
            return self._forgotten(child)
        if child.phase == "stopping":
            return self._stopped(child)
        if child.phase == "up" and not is_restarted(child.policy, is_error):
            return self._forgotten(child)
        if child.is_new:
            return self._never_started(child)
        return self._forgotten(child) if is_last else self._failed(child, now)

    def due(self, key: int, now: float) -> list[Action]:  # noqa: ARG002 facts of time look alike
        """The time of a `Wait` has passed.

        Args:
            key: The child.
            now: The present, in seconds.
        """
        child = self._children.get(key)
        if child is None or child.phase != "waiting":
            return []
        if self._run is not None and self._run.leader is child:
            return self._start_group(self._run)
        return [self._started_anew(child)]

    # -- what follows for one child ---------------------------------------------------------------

    def _enter(self, key: int, policy: RestartPolicy, is_dynamic: bool) -> Charge:
        if key in self._children:
            raise InternalError(f"supervision: child {key} is known already")
        self._order += 1
        child = self._children[key] = Charge(key, policy, self._order, is_dynamic)
        return child

    def _started_anew(self, child: Charge) -> Start:
        child.phase, child.started_at = "starting", None
        child.restart_count += not child.is_new
        return Start(child.key)

    def _stopping(self, child: Charge) -> Stop:
        child.phase = "stopping"
        return Stop(child.key)

    def _stopped(self, child: Charge) -> list[Action]:
        """It was told to stop, and has: to be forgotten, or for a sibling's sake."""
        if child.is_leaving or child.policy == "never":
            return self._forgotten(child)
        child.phase = "down"
        return self._after(child)

    def _forgotten(self, child: Charge) -> list[Action]:
        """Take it off the list, and say so unless the end of all says it."""
        del self._children[child.key]
        is_told = self._end is None or child.is_leaving or (child.is_new and child.is_dynamic)
        told: list[Action] = [Forget(child.key)] if is_told else []
        run = self._run
        if run is not None and run.leader is child:
            run.leader = None
            if run.stage == "waiting":
                return told + self._start_group(run)
        return told + self._after(child)

    def _never_started(self, child: Charge) -> list[Action]:
        """It ended before it was up for the first time."""
        if child.is_dynamic:
            return self._forgotten(child)
        del self._children[child.key]
        return self._shut(StartFailed(child.key))

    def _failed(self, child: Charge, now: float) -> list[Action]:
        """It is to be restarted, if that fits the budget."""
        run = self._run
        if run is not None and run.stage == "stopping" and child.order >= run.first:
            child.phase = "down"  # it joins the group, which is being stopped anyway
            return []
        if not self._history.enter(now):
            del self._children[child.key]
            return self._shut(GiveUp(child.key))
        self._count_attempt(child, now)
        if self._strategy == "one_for_one":
            return [self._again(child)]
        return self._restart_group(child)

    def _count_attempt(self, child: Charge, now: float) -> None:
        """Say which restart in a row this is, and how long to wait before it."""
        if child.started_at is not None:
            ran = now - child.started_at
            if ran > max(self._budget.period, child.delay):
                child.attempt = 0
        child.attempt += 1
        child.delay = self._backoff.delay(child.attempt, self._chance())

    def _again(self, child: Charge) -> Action:
        """Start it after its back-off."""
        if child.delay <= 0.0:
            return self._started_anew(child)
        child.phase = "waiting"
        return Wait(child.key, child.delay)

    # -- what goes from child to child ------------------------------------------------------------

    def _after(self, child: Charge) -> list[Action]:
        """Go on, if this child was waited for."""
        if self._end is not None and not self._children:
            return self._finished()
        if self._run is not None and self._run.current == child.key:
            return self._next_step(self._run)
        return []

    def _next_step(self, run: Run) -> list[Action]:
        """Stop or start the next one in the queue; if there is none, the stage is over."""
        while run.queue:
            child = self._children.get(run.queue.popleft())
            if child is None:
                continue
            if run.stage == "starting" and child.phase == "down":
                run.current = child.key
                return [self._started_anew(child)]
            if run.stage == "stopping" and child.is_running:
                run.current = child.key
                return [] if child.phase == "stopping" else [self._stopping(child)]
        run.current = None
        return self._stage_over(run)

    def _stage_over(self, run: Run) -> list[Action]:
        if run.stage == "starting":
            self._run = None
            was_beginning, self._is_beginning = self._is_beginning, False
            return [Started()] if was_beginning else []
        if run.leader is None or run.leader.delay <= 0.0:
            return self._start_group(run)
        run.stage = "waiting"
        return [self._again(run.leader)]

    def _restart_group(self, leader: Charge) -> list[Action]:
        """Begin to stop the members; what a former run had to start is among them."""
        if self._run is not None:
            self._put_down(self._run)
        leader.phase = "down"
        first = leader.order if self._strategy == "rest_for_one" else 0
        queue = deque(child.key for child in self._backwards(first) if child.is_running)
        self._run = Run(first, leader, "stopping", queue)
        return self._next_step(self._run)

    def _start_group(self, run: Run) -> list[Action]:
        """Begin to start the members, the wait being over."""
        self._put_down(run)
        members = [child.key for child in self._backwards(run.first)]
        run.stage, run.queue = "starting", deque(reversed(members))
        return self._next_step(run)

    def _put_down(self, run: Run) -> None:
        """Let its leader wait no more, if it does."""
        if run.leader is not None and run.leader.phase == "waiting":
            run.leader.phase = "down"

    def _backwards(self, first: int) -> Iterable[Charge]:
        """The children from the last to the one of that order, or to the next one after it."""
        return takewhile(lambda child: child.order >= first, reversed(self._children.values()))

    # -- the end ----------------------------------------------------------------------------------

    def _shut(self, end: End) -> list[Action]:
        """Stop all that run, forget the others, and come to that end."""
        self._end, self._run, self._is_beginning = end, None, False
        actions: list[Action] = []
        queue: deque[int] = deque()
        for child in list(self._backwards(0)):
            if child.is_running:
                queue.append(child.key)
            else:
                del self._children[child.key]
                if child.is_dynamic and child.is_new:
                    actions.append(Forget(child.key))
        if not queue:
            return actions + self._finished()
        if self._strategy == "one_for_one":
            left = (self._children[key] for key in queue)
            return actions + [self._stopping(child) for child in left if child.phase != "stopping"]
        self._run = Run(0, None, "stopping", queue)
        return actions + self._next_step(self._run)

    def _finished(self) -> list[Action]:
        assert self._end is not None
        self._run, self._is_over = None, True
        return [self._end]

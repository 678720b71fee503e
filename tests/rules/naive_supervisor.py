"""OTP's supervisor written down as plainly as can be, to hold `Supervision` against.

Nothing is remembered that can be looked up: after each fact, all children are looked at from
scratch to find what is to be done next. It is slow, and short.
"""

from dataclasses import dataclass

from actormq.rules.actions import Done, Forget, GiveUp, Start, Started, StartFailed, Stop, Wait

RUNNING = ("starting", "up", "stopping")


@dataclass
class Row:
    """One child specification."""

    key: int
    policy: str
    is_dynamic: bool
    phase: str = "down"
    was_up: bool = False
    is_leaving: bool = False
    up_since: float | None = None
    in_a_row: int = 0
    delay: float = 0.0
    restart_count: int = 0


@dataclass
class Job:
    """Begin or a group restart; `spared` are the keys that it leaves alone."""

    stage: str
    spared: set
    culprit: Row | None
    turn: Row | None = None


class NaiveSupervisor:
    def __init__(self, strategy, restarts, period, delay_of):
        self.strategy, self.restarts, self.period = strategy, restarts, period
        self.delay_of = delay_of
        self.rows = []
        self.restarted_at = []
        self.job = None
        self.is_beginning = False
        self.ending = None
        self.is_over = False
        self.out = []

    def tell(self, fact, *arguments):
        self.out = []
        getattr(self, fact)(*arguments)
        self.settle()
        return self.out

    def row(self, key, phases=RUNNING):
        return next((row for row in self.rows if row.key == key and row.phase in phases), None)

    # -- facts ------------------------------------------------------------------------------------

    def begin(self, children):
        if self.ending is None:
            self.rows += [Row(key, policy, is_dynamic=False) for key, policy in children]
            self.is_beginning = True
            self.job = Job("starting", set(), None)

    def add(self, key, policy):
        if self.ending is not None:
            self.out.append(Forget(key))
            return
        self.rows.append(Row(key, policy, is_dynamic=True))
        if self.job is None:
            self.start(self.rows[-1])

    def remove(self, key):
        if row := self.row(key, ("down", "waiting")):
            self.drop(row)
        elif row := self.row(key):
            row.is_leaving = True
            if row.phase != "stopping":
                self.stop_one(row)

    def started(self, key, now):
        if row := self.row(key, ("starting",)):
            row.phase, row.was_up, row.up_since = "up", True, now

    def start_failed(self, key, now, is_last=False):
        self.ended(key, is_error=True, now=now, is_last=is_last)

    def ended(self, key, is_error, now, is_last=False):
        row = self.row(key)
        if row is None:
            return
        was, row.phase = row.phase, "down"
        is_done = row.policy == "never" or (row.policy == "on_error" and not is_error)
        if self.ending is not None:
            self.drop(row)
        elif was == "stopping":
            if row.is_leaving or row.policy == "never":
                self.drop(row)
        elif was == "up" and is_done:
            self.drop(row)
        elif was == "starting" and not row.was_up:
            if row.is_dynamic:
                self.drop(row)
            else:
                self.rows.remove(row)
                self.end(StartFailed(key))
        elif is_last:
            self.drop(row)
        else:
            self.fail(row, now)

    def due(self, key, now):
        if row := self.row(key, ("waiting",)):
            if self.job is not None and self.job.culprit is row:
                row.phase = "down"
            else:
                self.start(row)

    def stop(self):
        if self.ending is None:
            self.end(Done())
        elif self.ending != Done():
            self.ending, self.is_over = Done(), False

    # -- what follows -----------------------------------------------------------------------------

    def fail(self, row, now):
        is_stopping = self.job is not None and self.job.stage == "stopping"
        if is_stopping and row.key not in self.job.spared:
            return
        if len([at for at in self.restarted_at if now - at <= self.period]) + 1 > self.restarts:
            self.rows.remove(row)
            self.end(GiveUp(row.key))
            return
        self.restarted_at.append(now)
        if row.up_since is not None and now - row.up_since > max(self.period, row.delay):
            row.in_a_row = 0
        row.in_a_row += 1
        row.delay = self.delay_of(row.in_a_row)
        if self.strategy == "one_for_one":
            self.wait(row)
            return
        for other in self.rows:
            if other.phase == "waiting":
                other.phase = "down"
        before = [other.key for other in self.rows[: self.rows.index(row)]]
        self.job = Job("stopping", set(before if self.strategy == "rest_for_one" else ()), row)

    def end(self, how):
        self.ending, self.job, self.is_beginning = how, None, False
        for row in reversed(list(self.rows)):
            if row.phase not in RUNNING:
                self.drop(row)

    def drop(self, row):
        self.rows.remove(row)
        if self.ending is None or row.is_leaving or (row.is_dynamic and not row.was_up):
            self.out.append(Forget(row.key))

    def start(self, row):
        row.phase, row.up_since = "starting", None
        row.restart_count += row.was_up
        self.out.append(Start(row.key))

    def stop_one(self, row):
        row.phase = "stopping"
        self.out.append(Stop(row.key))

    def wait(self, row):
        if row.delay > 0:
            row.phase = "waiting"
            self.out.append(Wait(row.key, row.delay))
        else:
            self.start(row)

    # -- what is to be done next ------------------------------------------------------------------

    def settle(self):
        if self.ending is not None:
            self.settle_end()
        elif self.job is not None:
            if self.job.stage == "stopping":
                self.settle_stopping(self.job)
            if self.job.stage == "waiting" and self.row(self.job.culprit.key, ("waiting",)) is None:
                self.job.stage = "starting"
            if self.job.stage == "starting":
                self.settle_starting(self.job)

    def settle_end(self):
        if not self.rows and not self.is_over:
            self.is_over = True
            self.out.append(self.ending)
        elif self.strategy == "one_for_one":
            for row in reversed(self.rows):
                if row.phase != "stopping":
                    self.stop_one(row)
        elif self.rows and self.rows[-1].phase != "stopping":
            self.stop_one(self.rows[-1])

    def settle_stopping(self, job):
        running = [r for r in self.rows if r.key not in job.spared and r.phase in RUNNING]
        if running:
            if running[-1].phase != "stopping":
                self.stop_one(running[-1])
        elif job.culprit in self.rows and job.culprit.delay > 0:
            job.stage = "waiting"
            self.wait(job.culprit)
        else:
            job.stage = "starting"

    def settle_starting(self, job):
        if job.turn in self.rows and job.turn.phase in ("starting", "stopping"):
            return
        down = [r for r in self.rows if r.key not in job.spared and r.phase == "down"]
        if down:
            job.turn = down[0]
            self.start(down[0])
        else:
            self.job = None
            if self.is_beginning:
                self.is_beginning = False
                self.out.append(Started())

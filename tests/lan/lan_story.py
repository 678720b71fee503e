"""What happens to a mesh on a LAN, one trouble after another, and how long the mesh took each time.

All times are those that the nodes wrote down themselves; of those stretches that are promised, what
the machine did not grant us is taken off.
"""

import itertools
import random
import signal
import threading
import time
from dataclasses import dataclass, field

KILLED, CUT, HEALED = 2.0, 8.0, 5.0  # s that are promised, see DESIGN 6
PATIENCE = 8.0  # times as long as promised is waited, so that a miss has a figure
HOLD = 8.0  # s that a cut lasts which must not kill: by then a silent node would be dead
BLINK = 0.8  # s of a cut that nobody need notice
HANG = 2.0  # s that a node may hang and be held for alive
START = 150.0  # s for all nodes to start: Python takes 0.5 s of a core for each


@dataclass
class Findings:
    """What was measured, in seconds, and what went wrong, in words.

    Attributes:
        kills: From a kill until the last of the others holds it for dead.
        cuts: From a silent cut until the last on both sides holds the last beyond it for dead.
        heals: From a heal, or a new start, until all see all, their names too.
        late: What took longer than was promised.
        wrong: Who was held for dead though there was a way to it, or never came back.
    """

    kills: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    heals: list[float] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Story(threading.Thread):
    """Brings troubles over one mesh, in a thread of its own.

    Args:
        mesh: Its nodes have been started; there is one on each host.
        troubles: Names of methods of this class that begin with `trouble_`, in their order.
        seed: For all that is chosen by chance.
        passed: The time that is granted, see `granted.Granted`.
    """

    def __init__(self, mesh, troubles, seed, passed):
        super().__init__(name=f"story-{mesh.name}")
        self.mesh, self.lan = mesh, mesh.lan
        self.troubles = troubles
        self.passed = passed
        self.random = random.Random(seed)
        self.found = Findings()
        self.error = None
        self._now = ""

    def run(self):
        try:
            if not self.mesh.until(self.mesh.is_whole, START):
                self._now = self.mesh.name
                self._wrong(f"not all see all {START:.0f} s after the start: {self.mesh.lack()}")
                return
            for number, trouble in enumerate(self.troubles, 1):
                self._now = f"{self.mesh.name}, trouble {number}, {trouble}"
                self.began = time.monotonic()
                getattr(self, f"trouble_{trouble}")()
                self._tell(f"took {time.monotonic() - self.began:.1f} s")
        except Exception as error:  # noqa: BLE001 whoever reads the findings raises it
            self.error = error

    # -- what may come ------------------------------------------------------------------------

    def trouble_kill(self):
        """One node is killed, and started anew at once."""
        self._kill(self.random.sample(sorted(self.mesh.nodes), 1))

    def trouble_kill_two(self):
        self._kill(self.random.sample(sorted(self.mesh.nodes), 2))

    def _kill(self, names):
        at = time.monotonic()
        victims = [self.mesh.kill(name) for name in names]
        others = list(self.mesh.nodes.values())
        for name in names:
            self.mesh.start(name)
        lost = [(other, victim) for other in others for victim in victims]
        self.found.kills += [self._dead(lost, at, KILLED)] * len(names)
        self._whole(None)
        self._expect_no_deaths()

    def trouble_isolate(self):
        """Nothing passes to or from a host."""
        host = self._host()
        self._part(lambda: self.lan.isolate(host), [host], self._others(host))

    def trouble_partition(self):
        """The LAN falls in two."""
        hosts = self.random.sample(self.lan.hosts, len(self.lan.hosts))
        one, other = hosts[: len(hosts) // 2], hosts[len(hosts) // 2 :]
        self._part(lambda: self.lan.partition(one, other), one, other)

    def trouble_mute(self):
        """Nothing passes from a host, which hears the others for as long as TCP lets them speak."""
        host = self._host()
        self._part(lambda: self.lan.mute(host), self._others(host), [host], is_mutual=False)

    def trouble_pair(self):
        """Two hosts cannot reach each other, and all others reach both."""
        one, other = self.random.sample(self.lan.hosts, 2)
        self._bend(lambda: self.lan.cut(one, other))

    def trouble_one_way(self):
        """Nothing passes from one host to another one, and all others reach both."""
        one, other = self.random.sample(self.lan.hosts, 2)
        self._bend(lambda: self.lan.cut(one, other, one_way=True))

    def trouble_bridge(self):
        """Two halves, and one host that reaches both."""
        middle = self._host()
        self._bend(lambda: self.lan.bridge([middle]))

    def trouble_flap(self):
        """A line that goes and comes."""
        host = self._host()
        for _ in range(3):
            self.lan.isolate(host)
            time.sleep(BLINK)
            self.lan.mend()
            time.sleep(BLINK / 2)
        self._whole(time.monotonic())
        self._expect_no_deaths()

    def trouble_hang(self):
        """A process that hangs for a moment."""
        node = self.mesh.nodes[self.random.choice(sorted(self.mesh.nodes))]
        node.signal(signal.SIGSTOP)
        time.sleep(HANG)
        node.signal(signal.SIGCONT)
        self._whole(time.monotonic())
        self._expect_no_deaths()

    def trouble_freeze(self):
        """A process that hangs for so long that it is held for dead."""
        node = self.mesh.nodes[self.random.choice(sorted(self.mesh.nodes))]
        others = [other for other in self.mesh.nodes.values() if other is not node]
        at = time.monotonic()
        node.signal(signal.SIGSTOP)
        self.found.cuts.append(self._dead([(other, node) for other in others], at, CUT))
        node.signal(signal.SIGCONT)
        self._whole(time.monotonic())
        self._expect_no_deaths(but=[(other.name, node.name) for other in others])

    def _host(self):
        return self.random.choice(self.lan.hosts)

    def _others(self, host):
        return [other for other in self.lan.hosts if other != host]

    # -- how it goes --------------------------------------------------------------------------

    def _part(self, cut, one, other, *, is_mutual=True):
        """Cut hosts off from others, wait until they know, or both sides do, and heal."""
        on = {node.host: node for node in self.mesh.nodes.values()}
        lost = [(on[a], on[b]) for a, b in itertools.product(one, other)]
        back = [(b, a) for a, b in lost]
        at = time.monotonic()
        cut()
        self.found.cuts.append(self._dead([*lost, *back] if is_mutual else lost, at, CUT))
        self.lan.mend()
        self._whole(time.monotonic())
        self._expect_no_deaths(but=[(a.name, b.name) for a, b in (*lost, *back)])

    def _bend(self, cut):
        """Cut hosts off from each other that can still reach each other in a roundabout way."""
        cut()
        self.mesh.until(lambda: False, HOLD)
        self.lan.mend()
        self._whole(time.monotonic())
        self._expect_no_deaths()

    def _dead(self, lost, at, limit):
        """Wait until each of the first holds its other one for dead; say how long that took."""

        def missing():
            running = [(a, b) for a, b in lost if a.process.is_running()]
            return [(a.name, b.name) for a, b in running if a.died_at(b, at) is None]

        if not self.mesh.until(lambda: not missing(), limit * PATIENCE):
            self._late(f"after {limit * PATIENCE:.0f} s not held for dead: {missing()[:5]}")
            return limit * PATIENCE
        times = [(a.died_at(b, at), a.name, b.name) for a, b in lost]
        said_at, one, other = max(time for time in times if time[0] is not None)
        seconds = self.passed.between(at, said_at)
        if seconds > limit:
            self._late(f"{one} held {other} for dead after {seconds:.2f} s")
        return seconds

    def _whole(self, since):
        """Wait until all see all; since when is None where a start of Python comes first."""
        self._revive()
        limit = HEALED * PATIENCE + (0 if since else START)
        if not self.mesh.until(self.mesh.is_whole, limit):
            self._wrong(f"after {limit:.0f} s not all see all: {self.mesh.lack()}")
            return
        if since is None:
            since = max(node.started_at for node in self.mesh.nodes.values())
        seconds = self.passed.between(since, max(self.mesh.whole_since(), since))
        self.found.heals.append(seconds)
        if seconds > HEALED:
            self._late(f"all saw all after {seconds:.2f} s")

    def _revive(self):
        """Start those anew that have ended though nobody killed them, and keep that in mind."""
        for name, node in list(self.mesh.nodes.items()):
            if not node.process.is_running():
                self._wrong(f"{name} has ended by itself: {node.said()}")
                self.mesh.kill(name)
                self.mesh.start(name)

    def _expect_no_deaths(self, but=()):
        for at, who, whom, why in self.mesh.deaths(self.began):
            if (who, whom) not in but:
                self._wrong(f"after {at - self.began:.2f} s {who} held {whom} for dead: {why}")

    def _late(self, what):
        self.found.late.append(f"{self._now}: {what}")
        self._tell(what)

    def _wrong(self, what):
        self.found.wrong.append(f"{self._now}: {what}")
        self._tell(what)

    def _tell(self, what):
        """Keep it beside the nodes' logs, for whoever wants to know what they were about."""
        with (self.mesh.folder / "story").open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic():.3f} {self._now}: {what}\n")

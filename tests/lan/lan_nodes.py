"""Nodes as processes on the hosts of a LAN, and what they have written down of each other."""

import json
import signal
import time

FAMILY = "actormq-test"  # then the id of our process: what a killed run left is known by that
POLL = 0.05  # s between looks at the nodes' logs; times are read in them, not taken here


class Lines:
    """The whole lines of a file that is being written, as they come."""

    def __init__(self, path):
        self.path = path
        self.at = 0

    def new(self):
        try:
            if self.path.stat().st_size == self.at:
                return []
        except FileNotFoundError:
            return []
        with self.path.open("rb") as file:
            file.seek(self.at)
            whole = file.read().rpartition(b"\n")
        self.at += len(whole[0] + whole[1])
        return [json.loads(line) for line in whole[0].splitlines()]


class Process:
    """One `actormq node` on a host, from its start to its end.

    What it has written is taken in by `read`.

    Attributes:
        id: The node's id, None before it has started.
        started_at: When it had, in seconds on the machine's monotonic clock, as all times here.
        members: Nodes by id, with the state that it last said they are in.
        holders: Names, with the ids of the nodes that hold them.
        changes: Each change of a member: when, whose, to what, why.
        changed_at: When one of these last changed.
        seen_at: When a member last did.
        stopped: Its last event.
        broken: What came to its actor twice or out of order.
    """

    def __init__(self, nursery, lan, host, name, mesh, names, folder, options):
        self.name, self.host = name, host
        folder.mkdir()
        self.folder = folder
        self._events, self._notes = Lines(folder / "events"), Lines(folder / "notes")
        self.id = self.started_at = self.stopped = None
        self.members, self.holders = {}, {}
        self.changes, self.broken = [], []
        self.changed_at = self.seen_at = 0.0
        self.process = nursery.start(
            lan.namespace(host),
            [
                *("node", "lan_worker:Worker", "--name", name, "--as", name, "--mesh", mesh),
                *("--insecure-lan", "--events", str(self._events.path)),
                *("--arg", f"notes={self._notes.path}", "--arg", f"names={names}"),
                *options,
            ],
            folder / "log",
        )

    def read(self):
        """Take in what it has written since."""
        for line in self._events.new():
            kind = line["event"]
            if kind == "NodeStarted":
                self.id, self.started_at = line["id"], line["monotonic"]
            elif kind == "NodeStopped":
                self.stopped = line
            elif kind == "MemberChanged":
                self.members[line["node"]] = line["state"]
                self.changed_at = self.seen_at = line["monotonic"]
                change = (line["monotonic"], line["node"], line["state"], line["reason"])
                self.changes.append(change)
        for line in self._notes.new():
            if "broken" in line:
                self.broken.append(line["broken"])
            else:
                self.holders[line["name"]] = line["holders"]
                self.changed_at = max(self.changed_at, line["monotonic"])

    @property
    def view(self):
        """The ids of the others that it holds for alive."""
        return {node for node, state in self.members.items() if state == "alive"}

    def died_at(self, other, since):
        """When it first said after `since` that another node is dead; None if it has not."""
        times = [at for at, node, state, _ in self.changes if (node, state) == (other.id, "dead")]
        return min((at for at in times if at >= since), default=None)

    def signal(self, number):
        self.process.signal(number)

    def said(self):
        """The end of its log, for whoever looks for what went wrong."""
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-40:])


class Mesh:
    """The nodes of one mesh on one LAN; each has a name, and may have several lives.

    Attributes:
        nodes: Those that run, by name.
        ended: Those that were killed or stopped.
    """

    def __init__(self, nursery, lan, folder, name, hosts, options=()):
        self.nursery = nursery
        self.lan, self.folder, self.name = lan, folder, name
        self.hosts = hosts  # by the node's name
        self.options = list(options)
        self.nodes, self.ended = {}, []
        self._lives = 0
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name, *options):
        self._lives += 1
        self.nodes[name] = Process(
            self.nursery,
            self.lan,
            self.hosts[name],
            name,
            self.name,
            ",".join(self.hosts),
            self.folder / f"{name}-{self._lives}",
            [*self.options, *options],
        )
        return self.nodes[name]

    def kill(self, name):
        """Kill a node as the kernel does when memory is short; returns what it was."""
        process = self.nodes.pop(name)
        self.ended.append(process)
        process.process.kill()
        return process

    def read(self):
        for node in self.nodes.values():
            node.read()

    def until(self, condition, seconds):
        """Wait for something that the nodes write; say whether it came."""
        end = time.monotonic() + seconds
        while True:
            self.read()
            if condition():
                return True
            if time.monotonic() > end:
                return False
            time.sleep(POLL)

    def is_started(self):
        return all(node.id for node in self.nodes.values())

    def lack(self):
        """What is missing until all see all, their names too; "" if nothing is."""
        ids = {name: node.id for name, node in self.nodes.items()}
        for name, node in self.nodes.items():
            if not node.process.is_running():
                return f"{name} has ended: {node.said()}"
        for name, node in self.nodes.items():
            wanted = {other for other in ids.values() if other != node.id}
            if None in ids.values() or node.view != wanted:
                shown = {(_name_of(ids, other), state) for other, state in node.members.items()}
                return f"{name} sees {sorted(shown, key=str)}"
            for other, holder in ids.items():
                if node.holders.get(other) != [holder]:
                    held_by = [_name_of(ids, it) for it in node.holders.get(other, [])]
                    return f"{name} thinks that {other} is held by {held_by}"
        return ""

    def is_whole(self):
        return not self.lack()

    def whole_since(self):
        """When the last of what they see became as it is."""
        return max(node.changed_at for node in self.nodes.values())

    def deaths(self, since):
        """Who has said since that whom of those that run is dead: (when, who, whom, why)."""
        names = {node.id: node.name for node in self.nodes.values()}
        return [
            (at, node.name, names[other], reason)
            for node in self.nodes.values()
            for at, other, state, reason in node.changes
            if state == "dead" and at >= since and other in names
        ]

    def stop(self):
        """End all in order, and read their last words."""
        running = list(self.nodes.values())
        for node in running:
            node.signal(signal.SIGTERM)
        for node in running:
            if not node.process.ended():
                node.process.kill()
            node.read()
        self.ended += running
        self.nodes = {}

    def close(self):
        for node in self.nodes.values():
            node.process.kill()


def _name_of(ids, node):
    return next((name for name, other in ids.items() if other == node), node)

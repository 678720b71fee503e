"""Services as the patterns see them: announced here, watched there, and who knows of whom."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

from actormq.address import NODE_SERIAL, ActorEntry, Address, ServiceEntry
from actormq.cluster.directory import Directory
from actormq.cluster.member import Member
from actormq.cluster.mesh import Mesh
from actormq.cluster.post import Post
from actormq.errors import DeliveryError
from actormq.rules.endpoints import at_host
from actormq.runtime import ServiceEnd, Vouched

STATE_ENTRIES = 1_000  # entries in one STATE envelope; 100 000 names are no single message

SOURCES = ("XPUB", "PUSH")
"""The sockets of which peers want to hear to the end; to all others they send."""

VOUCHED = "vouched"
"""The handler of a node's own actor that takes a publisher's word."""

Watcher = Callable[[Sequence[ServiceEnd]], None]


class MeshServices:
    """What this node has, told to the mesh; what the mesh has, told to whoever watches.

    Args:
        node_id: This node.
        directory: What is known of all nodes.
        mesh: Tells the others.
        post: Sends to the actors of other nodes.
    """

    def __init__(self, node_id: str, directory: Directory, mesh: Mesh, post: Post) -> None:
        self._node_id = node_id
        self._directory = directory
        self._mesh = mesh
        self._post = post
        self._watchers: dict[str, dict[Watcher, None]] = {}  # by service, in the order of asking
        self._changes = 0
        self._expected: dict[int, Vouched] = {}
        directory.watch(self._changed)

    # -- what this node has -------------------------------------------------------------------

    def announce(self, entry: ServiceEntry) -> None:
        """Tell the mesh of a bound socket."""
        self._mesh.gossip.announce(services=[entry])

    def announce_actor(self, entry: ActorEntry) -> None:
        """Tell the mesh of a named actor."""
        self._mesh.gossip.announce(actors=[entry])

    def withdraw(self, serial: int) -> None:
        """Take back a socket or an actor; what was taken back before is no error."""
        own = self._directory.of(self._node_id)
        if serial in own.actors or serial in own.services:
            self._take_back([serial])

    def withdraw_all(self, *, is_draining: bool = False) -> None:
        """Take back everything: the node is about to stop, and nobody should find it any more.

        But not elected names, whose actors are told first.

        Args:
            is_draining: Leave out the sockets whose last words are still to come.
        """
        own = self._directory.of(self._node_id)
        actors = [serial for serial, entry in own.actors.items() if not entry.elected]
        sockets = [
            serial
            for serial, entry in own.services.items()
            if not (is_draining and entry.socket in SOURCES)
        ]
        self._take_back([*actors, *sockets])

    def _take_back(self, serials: list[int]) -> None:
        for first in range(0, len(serials), STATE_ENTRIES):
            self._mesh.gossip.announce(gone=serials[first : first + STATE_ENTRIES])

    # -- what others have ---------------------------------------------------------------------

    def watch_service(self, service: str, changed: Watcher) -> Callable[[], None]:
        """Call `changed` now and whenever other ends come or go; the result ends it."""
        watchers = self._watchers.setdefault(service, {})
        watchers[changed] = None
        changed(self.ends(service))

        def end() -> None:
            watchers.pop(changed, None)
            if not watchers and self._watchers.get(service) is watchers:
                del self._watchers[service]

        return end

    def opposite(self, service: str, *, is_binder: bool) -> list[ServiceEntry]:
        """The ends of a service that one which binds, or one which connects, would have."""
        known = self._directory.connecting if is_binder else self._directory.bound
        return [entry for _, entry in known(service)]

    def ends(self, service: str) -> list[ServiceEnd]:
        """The ends of a service that can be dialled from here."""
        found = []
        for node, entry in self._directory.bound(service):
            endpoint = self._endpoint(node, entry)
            if endpoint is not None:
                found.append(ServiceEnd(node, entry, endpoint))
        return found

    def _endpoint(self, node: str, entry: ServiceEntry) -> str | None:
        """Where to connect: ipc on this host, else at the host under which the peer answered."""
        is_near = node == self._node_id
        link = ""
        if not is_near:
            member = self._mesh.partner(node)
            if member is None or member.link is None:
                return None  # `linked` tells once it can be spoken to
            is_near = member.facts.host == self._mesh.facts.host
            link = member.link.endpoint
        for endpoint in entry.endpoints:
            if endpoint.startswith("inproc://") and node != self._node_id:
                continue  # it is a name within that process
            if endpoint.startswith("tcp://") or is_near:
                return at_host(endpoint, link)
        return None

    def _changed(self, _names: set[str], services: set[str]) -> None:
        for service in sorted(services & self._watchers.keys()):
            self._tell(service)

    def _tell(self, service: str) -> None:
        """Tell all who watch; the ends are looked up once, unless they change meanwhile."""
        self._changes += 1
        known, ends = self._changes, self.ends(service)
        for changed in list(self._watchers.get(service, ())):  # one that was told may have ended it
            if known != self._changes:
                known, ends = self._changes, self.ends(service)
            changed(ends)

    def linked(self, member: Member) -> None:
        """There is a new link to a member: what it offers can be dialled now."""
        offered = {
            entry.service
            for entry in self._directory.of(member.facts.node).services.values()
            if entry.endpoints
        }
        self._changed(set(), offered)

    # -- who knows of whom --------------------------------------------------------------------

    def vouch(self, node: str, token: int, stream: int, baseline: Mapping[str, int] | None) -> None:
        """Tell a subscriber on `node` that its subscription is known here."""
        if node == self._node_id:
            self.vouched(token, stream, baseline)
            return
        # A node outside the mesh hears nothing: its subscriber then waits as for a plain one.
        with contextlib.suppress(DeliveryError):
            address = Address(node, NODE_SERIAL, VOUCHED)
            self._post.tell(address, VOUCHED, (token, stream, baseline), {})

    def expect_vouch(self, token: int, vouched: Vouched | None) -> None:
        """Call `vouched` when a publisher vouches for a token of ours; None ends it."""
        if vouched is None:
            self._expected.pop(token, None)
        else:
            self._expected[token] = vouched

    def vouched(self, token: int, stream: int, baseline: Mapping[str, int] | None) -> None:
        """A publisher has vouched."""
        expected = self._expected.get(token)
        if expected is not None:
            expected(stream, baseline)

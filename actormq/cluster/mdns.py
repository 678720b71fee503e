"""Discovery by multicast DNS (RFC 6762, RFC 6763), carried by zeroconf.

One service type, one instance a node, named after its id, and all that we need in its TXT record.

Measured on loopback with zeroconf 0.154, medians of 20 runs unless it says otherwise; five runs
with 0.136 were no different:

- seen by a node that looks already: 0.4 ms after `announce`, 1.8 ms at most;
- by a node that starts later: 0.15 s after `start`, 0.08 to 0.22 s. It waits 0.02 to 0.12 s before
  it asks, and the answer waits as long (RFC 6762 sections 5.2 and 6). 1.1 to 1.2 s if it starts
  0.6 s after the announcement: no record is said twice within a second (5 runs);
- ten nodes that start together all know each other after 0.23 s (one run);
- a clean leave is seen after 0.3 ms;
- who joined during a partition is seen 0.6 s after the heal, and sees after 1.6 s (three hosts on a
  bridge, one run; one interval of questions and an answer at most);
- ten idle nodes, over two minutes: 0.03 % of a core, 0.4 packets/s and 150 bytes/s each.

Three things are not done as zeroconf's own browser does them.

**Only TXT records are read.** A browser reports PTR records and leaves the rest to be resolved.
That needs an address record too, which ends after 120 s and which the browser does not renew.

**The question is repeated for ever.** A browser asks four times, then only as a record nears its
end, so whoever joined during a partition stays unseen after it. We ask every 3 s while we are alone
or somebody is missing, else every 15 s.
Each question lists what is known already (RFC 6762 section 7.1), and in a settled mesh nobody
answers it; a record past half its life is not listed, which makes its owner renew it.
Questions go out as QM: the unicast answer to a QU question reaches one of the processes that share
port 5353, and it need not be the one that asked.

**Records live for 120 s instead of 75 min.** mDNS tells who came, never who died: a killed node is
hinted at until its record ends. Renewal as above costs one answer a minute for each node.

Loopback limits where we speak, not what we hear: Linux hands a socket that is bound to port 5353
the packets of every group that any process of the host has joined (ip(7), IP_MULTICAST_ALL).
`Announcement.scope` tells them apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
import socket
from typing import TYPE_CHECKING, Final

from actormq.cluster.discovery import (
    RECORD_LIFE,
    Announcement,
    AnnouncementError,
    DiscoveryUnavailable,
    Sightings,
    TooManyKnown,
    from_txt,
    split_txt,
    to_txt,
)
from actormq.cluster.interfaces import interfaces

# zeroconf is imported where it is used: that takes 0.08 to 0.12 s, too long for `actormq --help`.
if TYPE_CHECKING:
    from collections.abc import Callable

    from zeroconf import IPVersion, RecordUpdate, RecordUpdateListener, ServiceInfo, Zeroconf
    from zeroconf.asyncio import AsyncZeroconf

SERVICE_TYPE: Final = "_actormq._tcp.local."
QUERY_INTERVAL: Final = 3.0  # s; a heal must be complete within 5 s
CALM_ROUNDS: Final = 5  # intervals for a question where nobody is missing: who comes says so itself

# Section numbers are those of RFC 6762.
_FIRST_QUERY_DELAY = (0.02, 0.12)  # s; 5.2, so that hosts switched on together ask one by one
_SECOND_QUERY_DELAY = 1.0  # s; 5.2, in case the first was lost
_GOODBYE_INTERVAL = 0.125  # s; zeroconf's own
_GOODBYE_COUNT = 3  # one may be lost; an answer that is under way when we leave is out in 0.12 s
_START_LIMIT = 2.0  # s; takes 1 ms unless the loop is held up
_STOP_LIMIT = 0.5  # s
_CLASS_IN = 1  # RFC 1035 section 3.2.4
_TYPE_PTR = 12  # RFC 1035 section 3.2.2
_QUERY_FLAGS = 0  # RFC 1035 section 4.1.1

_log = logging.getLogger(__name__)


class Mdns:
    """Tell of ourselves and find others by multicast DNS, on the running loop.

    Args:
        loopback: Speak on 127.0.0.1 only, instead of on all interfaces of the host, over IPv4 and
            IPv6. Neither needs a multicast route, which zeroconf's default interface does.
        interval: Time between questions, and between reports of who is known, in seconds.

    Source: `Discovery`, whose methods these are.
    """

    def __init__(self, *, loopback: bool, interval: float = QUERY_INTERVAL) -> None:
        self._loopback = loopback
        self._interval = interval
        self._sightings = Sightings(_read)
        self._zeroconf: AsyncZeroconf | None = None
        self._found: Callable[[Announcement], None] | None = None
        self._is_calm: Callable[[], bool] = lambda: False
        self._rounds = 0
        self._own_id: str | None = None
        self._telling: asyncio.Future[None] | None = None
        self._next_round: asyncio.TimerHandle | None = None
        self._logged: set[type[AnnouncementError]] = set()

    @property
    def refused_count(self) -> int:
        """Announcements that were malformed or too many to keep, a count since the start."""
        return self._sightings.refused_count

    async def start(
        self,
        found: Callable[[Announcement], None],
        is_calm: Callable[[], bool] = lambda: False,
    ) -> None:
        """Look for others from now on.

        Args:
            found: Called for others only: once for whatever is new, and every `interval` seconds
                for whoever is known.
            is_calm: Says whether there is nobody to be looked for; then one asks less often.

        Raises:
            DiscoveryUnavailable: No multicast socket, no interface, or port 5353 is refused.
            RuntimeError: It was started before.
        """
        if self._zeroconf is not None:
            raise RuntimeError("discovery was started before")
        self._sightings = Sightings(_read)
        self._zeroconf = await self._open()
        self._found, self._is_calm = found, is_calm
        self._zeroconf.zeroconf.async_add_listener(
            _listener(self._hear, self._sightings.forget), None
        )
        self._schedule_round(0.0, _SECOND_QUERY_DELAY)

    async def announce(self, announcement: Announcement) -> None:
        """Tell of ourselves, instead of what was told before; returns once it has been said.

        Raises:
            AnnouncementError: It takes more than a TXT record holds.
            RuntimeError: Discovery was not started.
        """
        if self._zeroconf is None:
            raise RuntimeError("discovery was not started: nothing can be announced")
        info = _service(announcement)
        if self._telling is not None and self._own_id == announcement.node_id:
            self._telling.cancel()
            telling = await self._zeroconf.async_update_service(info)
        else:
            await self.withdraw()
            self._own_id = announcement.node_id
            # Ids are unique, so we do not ask for 0.5 to 0.8 s first whether the name is taken.
            telling = await self._zeroconf.async_register_service(info, cooperating_responders=True)
        # Said three times within 0.45 s, the first time in the next turn of the loop.
        self._telling = asyncio.ensure_future(telling)
        await asyncio.sleep(0)

    async def withdraw(self) -> None:
        """Take back what was told; does nothing if nothing was.

        Takes no time on loopback and 0.25 s elsewhere.
        """
        if self._zeroconf is not None:
            await self._take_back(self._zeroconf.zeroconf)

    async def refresh(self) -> None:
        """Tell and look on the interfaces that the host has now; takes up to a second."""
        if self._zeroconf is None or self._loopback:
            return
        try:
            await self._zeroconf.async_update_interfaces(*_spoken_on(loopback=False))
        except (OSError, RuntimeError) as error:  # as between two networks; there is a next time
            _log.info("mDNS: the interfaces cannot be used at present: %s", error)

    async def stop(self) -> None:
        """Withdraw and look no longer, within 0.5 s; `found` is not called after this."""
        self._found = None
        if self._next_round is not None:
            self._next_round.cancel()
            self._next_round = None
        opened, self._zeroconf = self._zeroconf, None
        if opened is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_LIMIT):
                try:
                    await self._take_back(opened.zeroconf)
                finally:
                    await opened.async_close()

    async def _open(self) -> AsyncZeroconf:
        from zeroconf import Error  # noqa: PLC0415 - as said above
        from zeroconf.asyncio import AsyncZeroconf  # noqa: PLC0415

        source = "mDNS on loopback" if self._loopback else "mDNS"
        opened = None
        is_usable = False
        try:
            spoken_on, version = _spoken_on(loopback=self._loopback)
            opened = AsyncZeroconf(spoken_on, ip_version=version)
            async with asyncio.timeout(_START_LIMIT):
                await opened.zeroconf.async_wait_for_start()
            # An interface that cannot be used is only logged; without any we would talk to nobody.
            is_usable = bool(opened.zeroconf.engine.senders)
        except (OSError, RuntimeError, TimeoutError, Error) as error:
            raise DiscoveryUnavailable(source, str(error) or type(error).__name__) from error
        finally:
            if opened is not None and not is_usable:
                with contextlib.suppress(OSError):
                    await opened.async_close()
        if not is_usable:
            raise DiscoveryUnavailable(source, "no interface takes multicast")
        return opened

    async def _take_back(self, zeroconf: Zeroconf) -> None:
        if self._telling is None:
            return
        # Otherwise an announcement could follow the goodbye, and we would be hinted at for 120 s.
        self._telling.cancel()
        self._telling = None
        # Not async_unregister_service, which sends from a task of its own, and three times even
        # where nothing is lost.
        goodbye = zeroconf.generate_unregister_all_services()
        if goodbye is None:
            return
        zeroconf.async_send(goodbye)
        for _ in range(0 if self._loopback else _GOODBYE_COUNT - 1):
            await asyncio.sleep(_GOODBYE_INTERVAL)
            zeroconf.async_send(goodbye)

    def _schedule_round(self, delay: float, following: float) -> None:
        jitter = random.uniform(*_FIRST_QUERY_DELAY)  # noqa: S311 - against collisions only
        loop = asyncio.get_running_loop()
        self._next_round = loop.call_later(delay + jitter, self._round, following)

    def _round(self, following: float) -> None:
        """Report who is known and ask who else is there."""
        self._schedule_round(min(following, self._interval), self._interval)
        loop = asyncio.get_running_loop()
        for announcement in self._sightings.current(loop.time()):
            loop.call_soon(self._report, announcement)
        self._rounds += 1
        if self._rounds % CALM_ROUNDS == 0 or not self._is_calm():
            self._ask()

    def _ask(self) -> None:
        # zeroconf exports these, and says that it keeps doing so, yet leaves them out of __all__.
        from zeroconf import DNSOutgoing, DNSPointer, DNSQuestion  # type: ignore[attr-defined]  # noqa: PLC0415

        if self._zeroconf is None:
            return
        question = DNSOutgoing(_QUERY_FLAGS)
        question.add_question(DNSQuestion(SERVICE_TYPE, _TYPE_PTR, _CLASS_IN))
        for instance, rest in self._sightings.settled(asyncio.get_running_loop().time()):
            known = DNSPointer(SERVICE_TYPE, _TYPE_PTR, _CLASS_IN, int(rest), instance)
            question.add_answer_at_time(known, 0)
        self._zeroconf.zeroconf.async_send(question)

    def _hear(self, instance: str, text: bytes, life: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            announcement = self._sightings.hear(instance, text, life, loop.time())
        except AnnouncementError as refusal:
            self._log_once(instance, refusal)
            return
        if announcement is not None:
            loop.call_soon(self._report, announcement)

    def _report(self, announcement: Announcement) -> None:
        # Always in a turn of its own: an error in `found` must not lose the rest of a packet or
        # the round's question.
        if self._found is not None and announcement.node_id != self._own_id:
            self._found(announcement)

    def _log_once(self, instance: str, refusal: AnnouncementError) -> None:
        if type(refusal) in self._logged:
            return
        self._logged.add(type(refusal))
        # A stranger's nonsense is no trouble of ours; a full table hides nodes.
        level = logging.WARNING if isinstance(refusal, TooManyKnown) else logging.INFO
        _log.log(level, "mDNS: %a was refused, more are only counted: %s", instance, refusal)


def _spoken_on(*, loopback: bool) -> tuple[list[str | int], IPVersion]:
    """Choose where to speak: IPv4 addresses, and the indexes of interfaces that have IPv6.

    Neither `InterfaceChoice` will do: `All` sends to `::1`, which cannot be, and once for each
    IPv6 address of an interface.
    """
    from zeroconf import IPVersion  # noqa: PLC0415 - as said above

    if loopback:
        return ["127.0.0.1"], IPVersion.V4Only
    every = [each for each in interfaces() if not each.is_port]
    v4 = [address for each in every for address in each.addresses if ":" not in address]
    v6 = [
        socket.if_nametoindex(each.name)
        for each in every
        if any(":" in address and address != "::1" for address in each.addresses)
    ]
    version = IPVersion.All if v4 and v6 else IPVersion.V6Only if v6 else IPVersion.V4Only
    return [*dict.fromkeys(v4), *v6], version


def _listener(
    heard: Callable[[str, bytes, float], None], ended: Callable[[str, bytes], None]
) -> RecordUpdateListener:
    """Make what zeroconf calls with each batch of records, passing on the TXT records of our type.

    Args:
        heard: Called with instance, data, and time to live in seconds.
        ended: Called with instance and data of a record that was taken back or ran out.
    """
    from zeroconf import DNSText, RecordUpdateListener  # type: ignore[attr-defined]  # noqa: PLC0415

    class Listener(RecordUpdateListener):  # in here because its base comes with zeroconf
        def async_update_records(
            self,
            zc: Zeroconf,  # noqa: ARG002 - the base's signature
            now: float,
            records: list[RecordUpdate],
        ) -> None:
            for update in records:
                record = update.new
                if not isinstance(record, DNSText) or not record.key.endswith("." + SERVICE_TYPE):
                    continue
                if record.is_expired(now):
                    ended(record.key, record.text)
                else:
                    heard(record.key, record.text, record.ttl)

    return Listener()


def _instance(node_id: str) -> str:
    return f"actormq-{node_id}.{SERVICE_TYPE}"


def _read(instance: str, text: bytes) -> Announcement:
    announcement = from_txt(split_txt(text))
    if instance != _instance(announcement.node_id):
        raise AnnouncementError(f"it speaks for another node, {announcement.node_id}")
    return announcement


def _service(announcement: Announcement) -> ServiceInfo:
    """Make the records of a node; we dial what TXT says, port and addresses are for other tools."""
    from zeroconf import ServiceInfo  # noqa: PLC0415

    places = [
        end.removeprefix("tcp://").rpartition(":")
        for end in announcement.endpoints
        if end.startswith("tcp://")
    ]
    addresses = []
    for host, _, _ in places:
        with contextlib.suppress(ValueError):  # a host name
            addresses.append(str(ipaddress.ip_address(host.strip("[]").partition("%")[0])))
    return ServiceInfo(
        SERVICE_TYPE,
        _instance(announcement.node_id),
        port=int(places[0][2]) if places else 0,
        properties=to_txt(announcement),
        # A host name of its own: who leaves takes the addresses of its host name back.
        server=f"actormq-{announcement.node_id}.local.",
        parsed_addresses=addresses or ["127.0.0.1"],
        host_ttl=RECORD_LIFE,
        other_ttl=RECORD_LIFE,
    )

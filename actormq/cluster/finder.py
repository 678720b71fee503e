"""Tells others where this node is, and the mesh where others may be, as networks come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from actormq.cluster.discovery import Announcement, Discovery, DiscoveryUnavailable
from actormq.cluster.interfaces import Watch
from actormq.events import Events
from actormq.loop import Loop
from actormq.message import PROTOCOL, Facts
from actormq.rules.endpoints import moved
from actormq.settings import Settings
from actormq.transport import Transport


class Hub(Protocol):
    """The mesh, as far as this needs it."""

    facts: Facts

    @property
    def is_calm(self) -> bool:
        """Whether there is nobody to be looked for."""

    def hint(self, found: Announcement) -> None:
        """Take a hint of discovery."""

    def endpoints_changed(self, endpoints: tuple[str, ...]) -> None:
        """This host has other addresses now."""


class Finder:
    """Discovery, and the addresses that it tells of.

    Args:
        loop: The node's loop.
        transport: Is told of the host's new addresses.
        hub: The mesh.
        settings: The node's settings.
        events: Where it is said if discovery cannot work.
        discovery: Makes a source of hints.
        look: Gives the addresses under which others may dial this host.
    """

    def __init__(
        self,
        loop: Loop,
        transport: Transport,
        hub: Hub,
        settings: Settings,
        events: Events,
        discovery: Callable[[], Discovery],
        look: Callable[[], Sequence[str]],
    ) -> None:
        self._transport = transport
        self._hub = hub
        self._is_wanted = settings.discovery
        self._is_lan = settings.insecure_lan
        self._events = events
        self._make = discovery
        self._discovery: Discovery | None = None
        self._watch = Watch(loop, look, self._changed)
        self._moving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look for others and tell of ourselves from now on; a guest only looks."""
        if self._is_wanted:
            await self._discover()
        if self._is_lan and not self._hub.facts.is_guest:
            self._watch.start()

    async def stop(self) -> None:
        """Take back what was told and look no more."""
        self._watch.stop()
        if self._moving is not None:
            self._moving.cancel()
        if self._discovery is not None:
            await self._discovery.stop()

    async def _discover(self) -> None:
        discovery = self._make()
        try:
            await discovery.start(self._hub.hint, lambda: self._hub.is_calm)
        except DiscoveryUnavailable as error:
            self._events.notice(logging.WARNING, str(error))
            return
        self._discovery = discovery
        await self._announce(discovery)

    async def _announce(self, discovery: Discovery) -> None:
        facts = self._hub.facts
        if not facts.is_guest:
            await discovery.announce(
                Announcement(
                    facts.mesh, facts.node, facts.name, facts.scope, facts.endpoints, PROTOCOL
                )
            )

    # -- networks that come and go ------------------------------------------------------------

    def _changed(self, addresses: Sequence[str]) -> None:
        self._transport.addresses = addresses
        endpoints = moved(self._hub.facts.endpoints, addresses)
        if endpoints != self._hub.facts.endpoints:
            self._hub.endpoints_changed(endpoints)
        if self._moving is None or self._moving.done():
            self._moving = asyncio.ensure_future(self._move())

    async def _move(self) -> None:
        """Tell of the new addresses, on the new interfaces as well."""
        if self._discovery is not None:
            await self._discovery.refresh()
            await self._announce(self._discovery)
        elif self._is_wanted:
            await self._discover()  # there was no network before

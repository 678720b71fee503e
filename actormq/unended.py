"""What has not ended, by name: for whoever waits in vain for a node to stop.

Nothing is kept for that: tasks, threads and the loop are looked into when it is asked, and from any
thread, since the loop itself may be what is stuck.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Any

from actormq import stacks
from actormq.runtime import Runtime
from actormq.stepping import carried
from actormq.watchdog import held_by


def of_node(runtime: Runtime) -> list[str]:
    """Name all that still runs, a line each; only the worst of each handler."""
    found: dict[str, str] = {}
    for name, what in (*_of_loop(runtime), *_of_threads(runtime), *_of_actors(runtime)):
        found.setdefault(name, what)
    return [f"{name} {what}" for name, what in found.items()]


def of_threads(runtime: Runtime) -> list[str]:
    """Name what still runs in the threads of blocking handlers."""
    return [f"{name} {what}" for name, what in _of_threads(runtime)]


def of_tasks(tasks: Iterable[asyncio.Task[Any]]) -> list[str]:
    """Name tasks that did not end when they were cancelled."""
    return [f"{_described(task)} goes on although it was cancelled" for task in tasks]


def _described(task: asyncio.Task[Any]) -> str:
    first = step = carried(task)
    while step is not None:  # what awaits what, down to the actor's own method
        frame = getattr(step, "cr_frame", None)
        actor = stacks.owner(frame) if frame is not None else None
        if actor is not None:
            return _name(stacks.label_of(actor), step.__name__)
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None)
    return getattr(first, "__qualname__", None) or task.get_name()


def _of_loop(runtime: Runtime) -> Iterator[tuple[str, str]]:
    if runtime.loop.is_current():
        return  # whoever asks holds it
    found = held_by(runtime.loop.thread)
    if found is not None:
        where = found.stack.rpartition("File ")[2].partition("\n")[0]
        yield _name(found.label, found.handler), f"holds the loop, at {where}"


def _of_threads(runtime: Runtime) -> Iterator[tuple[str, str]]:
    now = time.monotonic()
    for thread, since in runtime.threads.busy().items():
        found = stacks.stack_of(thread)
        if found is not None:
            what = f"has blocked a thread for {now - since:.1f} s"
            yield _name(found.label, found.handler), what


def _of_actors(runtime: Runtime) -> Iterator[tuple[str, str]]:
    now = runtime.loop.now()
    for cell in runtime.registry.cells():
        label = cell.address.label
        serving = cell.serving()
        for _, served in serving:
            awaits = "".join(f", awaits {reply.actor}" for reply in served.awaits or ())
            what = f"has been running for {now - served.began:.1f} s{awaits}"
            yield _name(label, served.call.name), what
        if not serving and cell.is_stopping:
            yield _name(label, "on_stop"), "goes on, perhaps: the actor has not stopped"


def _name(label: str, handler: str) -> str:
    return f"{label}.{handler}" if label else handler

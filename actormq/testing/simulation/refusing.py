"""What an asyncio loop has to offer and a virtual one has not: each of it says so."""

from __future__ import annotations

import asyncio
from typing import Any


def _no(what: str) -> Any:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise NotImplementedError(
            f"a simulation has no {what}: leave them to tests on real nodes, or replace them"
        )

    return refuse


class Refusing(asyncio.AbstractEventLoop):
    """A loop that refuses all that reaches out of the process."""

    add_reader = remove_reader = add_writer = remove_writer = _no("descriptors")
    sock_recv = sock_recv_into = sock_recvfrom = sock_recvfrom_into = _no("sockets")
    sock_sendall = sock_sendto = sock_sendfile = sock_connect = sock_accept = _no("sockets")
    create_connection = create_server = create_datagram_endpoint = _no("sockets")
    create_unix_connection = create_unix_server = connect_accepted_socket = _no("sockets")
    start_tls = sendfile = getaddrinfo = getnameinfo = _no("sockets")
    connect_read_pipe = connect_write_pipe = _no("pipes")
    subprocess_exec = subprocess_shell = _no("processes")
    add_signal_handler = remove_signal_handler = _no("signals")
    set_default_executor = _no("threads")
    set_task_factory = _no("tasks of another make")
    get_task_factory = get_exception_handler = lambda _: None
    set_exception_handler = default_exception_handler = _no("other handlers of exceptions")
    set_debug = _no("debug mode")
    stop = run_forever = _no("end but that of its scenario")

    async def shutdown_asyncgens(self) -> None:
        """Nothing: they end with the simulation."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Nothing: there are no threads."""

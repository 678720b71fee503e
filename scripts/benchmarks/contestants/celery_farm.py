"""Celery with Redis: tasks that do nothing, on two processes.

Starts a Redis on a free port and a worker. Set up as Celery's pages advise for many short tasks
whose results are wanted ("Optimizing"): the prefork pool, a large prefetch, results in Redis,
fetched together by `join_native`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import celery
import redis
from celery.result import ResultSet
from protocol import Round, Settings, repeated, serve

PROCESSES = 2
PIECE = 500  # tasks sent before their results are waited for
PATIENCE = 30.0  # s for a server or a worker to start
PREFETCH = 128  # tasks a process: the page names 50 to 150; 4, the default, is a third slower


def free_port() -> str:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


PORT = os.environ.setdefault("BENCH_REDIS_PORT", free_port())  # the worker is told ours
URL = f"redis://127.0.0.1:{PORT}/0"

app = celery.Celery("celery_farm", broker=URL, backend=URL)
app.conf.worker_prefetch_multiplier = PREFETCH


@app.task
def noop(number: int) -> int:
    """Do nothing."""
    return number


def piece() -> int:
    """Send a piece of tasks, each by itself, and wait until the last result is here."""
    results = ResultSet([noop.delay(number) for number in range(PIECE)])
    values = results.join_native()
    assert values == list(range(PIECE))
    results.forget()
    return PIECE


@contextmanager
def running(log: Path, *command: str) -> Iterator[None]:
    """A program that is ended afterwards; what it says goes to a file."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield
    except Exception:
        print(log.read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait()


def wait_for_redis() -> None:
    """Return when it answers."""
    client, end = redis.Redis.from_url(URL), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(redis.ConnectionError):
            client.ping()
            return
        time.sleep(0.02)
    client.ping()


@contextmanager
def farm_tasks(_settings: Settings) -> Iterator[Round]:
    """A server, a worker, and pieces of tasks again and again."""
    here = Path(__file__).resolve().parent
    worker = [sys.executable, "-m", "celery", "--workdir", str(here), "-A", "celery_farm"]
    worker += ["worker", "--concurrency", str(PROCESSES), "--loglevel", "WARNING"]
    os.environ["C_FORCE_ROOT"] = "1"  # spares a warning where root measures
    with tempfile.TemporaryDirectory() as folder:
        server = ["redis-server", "--port", PORT, "--bind", "127.0.0.1", "--dir", folder]
        server += ["--save", ""]  # in memory only, which is Celery's fastest
        with running(Path(folder, "redis.log"), *server):
            wait_for_redis()
            with running(Path(folder, "worker.log"), *worker):
                noop.delay(0).get(timeout=PATIENCE)
                yield lambda seconds: repeated(piece, seconds)


if __name__ == "__main__":
    serve({"farm-tasks": farm_tasks})

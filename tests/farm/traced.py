"""Runs a function in a fork of this process, and kills the fork before its nth write to a file.

The kernel stops a traced process as it enters a system call, before any of it is done: a SIGKILL at
that stop leaves exactly what the writes before it left. So every point between two writes is
reached, and each for certain, which no kill after a random time does. A filter (seccomp) has it
stop at these calls only, which makes a run 3 times as fast; a fork costs 3 ms, a start of Python
would cost 100.

What else was looked at: a VFS of our own sees the same calls, but a module with one brings its own
SQLite, and the store under test would not be what users run. Copies of the files after each write
give the same states, but nobody was killed, and nobody's lock had to end with its process.
"""

import ctypes
import os
import platform
import select
import signal
import sys

# From ptrace.h, prctl.h, seccomp.h and filter.h of Linux.
TRACEME, CONTINUE, SETOPTIONS, SYSCALL_INFO = 0, 7, 0x4200, 0x420E
STOP_AT_FILTER, KILLED_WITH_US = 0x80, 1 << 20
AT_FILTER = signal.SIGTRAP | 7 << 8
NO_NEW_PRIVILEGES, SET_FILTER, BY_PROGRAM = 38, 22, 2
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, TRACE = 0x7FFF0000, 0x7FF00000

WRITES = {
    "x86_64": {
        *(1, 18, 20, 74, 75, 76, 77),  # write, pwrite64, writev, fsync, fdatasync, (f)truncate
        *(82, 83, 84, 86, 87, 263, 264, 265, 285, 296, 316),  # rename, link, unlink …, fallocate
    },
    "aarch64": {64, 66, 68, 70, 82, 83, 45, 46, 47, 35, 37, 38, 276},
}
"""Numbers of the system calls that change files, or put them on disk."""


class SyscallInfo(ctypes.Structure):
    """`struct ptrace_syscall_info` as far as it is needed, the same on all machines."""

    _fields_ = [
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    ]


class Step(ctypes.Structure):
    """`struct sock_filter`: a step of the filter's program."""

    _fields_ = [
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_uint16), ("steps", ctypes.POINTER(Step))]


def reason_not_to():
    """Say why nothing can be traced here; None if it can."""
    if not sys.platform.startswith("linux") or platform.machine() not in WRITES:
        return "system calls are numbered here for Linux on x86_64 and aarch64 only"
    try:
        writes, _, status = run(lambda tell: os.write(2, b""))
    except OSError as error:
        return f"no process may be traced here: {error}"
    return None if writes and status == 0 else "tracing shows no system calls here"


def run(work, kill_at=None):
    """Do work in a fork.

    Args:
        work: A function that is given `tell`, which takes a number that the caller is to know.
        kill_at: Before which write to kill it, a count from 1; None lets it end.

    Returns:
        How many writes it came to, what it told, and its exit status (-9 if it was killed).
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        _work(work, writing)
    os.close(writing)
    try:
        writes, status = _follow(process, kill_at, writing)
    finally:
        told = _drained(reading)
        os.close(reading)
    return writes, told, status


def _work(work, writing):
    try:
        _asked(_libc(), TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        _filter()
        work(lambda number: os.write(writing, number.to_bytes(8, "big", signed=True)))
    except BaseException as error:  # noqa: BLE001 the fork ends here, whatever it was
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os._exit(0)


def _follow(process, kill_at, writing):
    libc, writes = _libc(), 0
    info = SyscallInfo()
    os.waitpid(process, 0)
    _asked(libc, SETOPTIONS, process, None, STOP_AT_FILTER | KILLED_WITH_US)
    passed_on = 0
    while True:
        _asked(libc, CONTINUE, process, None, passed_on)
        _, status = os.waitpid(process, 0)
        if not os.WIFSTOPPED(status):
            return writes, os.waitstatus_to_exitcode(status)
        passed_on = 0
        if status >> 8 != AT_FILTER:
            passed_on = os.WSTOPSIG(status)
            continue
        _asked(libc, SYSCALL_INFO, process, ctypes.sizeof(info), ctypes.addressof(info))
        if info.arguments[0] == writing:  # what it tells is no write to a file
            continue
        writes += 1
        if writes == kill_at:
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            return writes, os.waitstatus_to_exitcode(status)


def _filter():
    """Have this process stop at each call that is listed, if it is traced."""
    numbers = sorted(WRITES[platform.machine()])
    steps = [
        Step(LOAD, 0, 0, 0),  # the call's number
        *(Step(IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)),
        Step(RETURN, 0, 0, ALLOW),
        Step(RETURN, 0, 0, TRACE),
    ]
    program = Program(len(steps), (Step * len(steps))(*steps))
    libc = _libc()
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        SET_FILTER, BY_PROGRAM, ctypes.byref(program), 0, 0
    ):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _drained(reading):
    told = b""
    while select.select([reading], [], [], 0)[0] and (piece := os.read(reading, 1 << 16)):
        told += piece
    return [int.from_bytes(told[at : at + 8], "big", signed=True) for at in range(0, len(told), 8)]


def _asked(libc, request, process, address, data):
    if libc.ptrace(request, process, address, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _libc():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    return libc

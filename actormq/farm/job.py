"""What a task runs: named so that any machine finds it, and loaded where it runs."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from actormq.actor import Actor
from actormq.arguments import Arguments
from actormq.elsewhere.finding import (
    MAIN,
    load_main,
    looked_up,
    main_name,
    main_path,
    named,
)
from actormq.errors import ArgumentMismatch, SetupError
from actormq.marks import HandlerSpec

Mode = Literal["one", "call", "chunk"]
"""What a payload is: a value, `[args, kwargs]`, or the arguments of many calls: a list of all the
first ones, one of all the second ones, and so on."""

_WHERE = "a worker"


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What the tasks of a batch run.

    Attributes:
        target: `module:function`, `module:Actor` or `module:Actor.handler`.
        mode: What a payload is.
        initializer: The target of what each slot calls once before the first task; "" for none.
        initargs: Its arguments, packed as a list; empty if there are none.
        main: Of targets in `__main__`, which script that is: a module's name and "", or a file's
            path and the SHA-256 of what is in it.
    """

    target: str
    mode: Mode = "one"
    initializer: str = ""
    initargs: bytes = b""
    main: tuple[str, str] = ("", "")


# -- where the tasks come from --------------------------------------------------------------------


def job_of(
    function: Any, mode: Mode = "one", initializer: Any = None, initargs: bytes = b""
) -> Job:
    """Name what the tasks run, and make sure that another machine can find it.

    Args:
        function: A function, an Actor class with exactly one handler, a handler as
            `Class.handler`, or the target of any of them as a text.
        mode: What the payloads are.
        initializer: A function that each slot calls before its first task; None for none.
        initargs: What it is called with: a list, packed.

    Raises:
        SetupError: It is nothing that can be called, or cannot be found by its name.
    """
    target = target_of(function)
    first = "" if initializer is None else target_of(initializer)
    main = ("", "")
    if f"{MAIN}:" in (target[: len(MAIN) + 1], first[: len(MAIN) + 1]):
        main = _own_main()
    return Job(target, mode, first, initargs, main)


def target_of(function: Any) -> str:
    """Name a function, an Actor class with exactly one handler, or one of its handlers.

    Raises:
        SetupError: See `job_of`.
    """
    if isinstance(function, str):
        target, function = function, _at_target(function)
    else:
        target = _named(function)
    _handler_of(function, target)
    return target


def _named(function: Any) -> str:
    _check(function)
    module, path = _place_of(function)
    if not isinstance(module, str) or not isinstance(path, str):
        raise SetupError(
            f"{function!r} has no name by which a worker could find it: write a function at the "
            "top of a module that calls it"
        )
    noun = "class" if isinstance(function, type) else "function"
    return named(function, module, path, noun, _WHERE)


def _check(function: Any) -> None:
    if isinstance(function, functools.partial):
        raise SetupError(
            f"{function!r} has no name by which a worker could find it: write a function at the "
            "top of a module that makes this call, or pass the arguments with each task"
        )
    if not callable(function):
        raise SetupError(f"{function!r} cannot be called: a farm takes a function or a target")
    if getattr(function, "__name__", "") == "<lambda>":
        raise SetupError(
            "a lambda has no name by which a worker could find it: write it as a def at the top "
            "of its module"
        )
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, type) and not inspect.ismodule(owner):
        raise SetupError(
            f"{function!r} is bound to an object, which does not travel: write a function at the "
            "top of a module that makes the object, or an Actor class with a handler"
        )


def _place_of(function: Any) -> tuple[Any, Any]:
    """The module and the path at which something says that it was defined."""
    path = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    module = getattr(function, "__module__", None)
    if module is None:  # methods of built-in classes know their class only
        owner = getattr(function, "__objclass__", None) or getattr(function, "__self__", None)
        module = getattr(owner, "__module__", None)
    return module, path


def _only_handler(kind: type[Actor]) -> HandlerSpec:
    handlers = kind._actormq_handlers  # noqa: SLF001 the table that cells use
    specs = [spec for name, spec in handlers.items() if isinstance(name, str)]
    if len(specs) != 1:
        names = ", ".join(sorted(spec.name for spec in specs)) or "none"
        advice = f"name one, such as {kind.__name__}.{specs[0].name}" if specs else "mark one"
        raise SetupError(
            f"{kind.__qualname__} has not exactly one handler for the tasks, but {names}: {advice}"
        )
    return specs[0]


def _at_target(target: str) -> Any:
    """What a target names, here.

    Raises:
        SetupError: It is no target, or there is nothing that can be called.
    """
    module, colon, path = target.partition(":")
    if not (module and colon and path):
        raise SetupError(f"{target!r} names no function: write MODULE:FUNCTION")
    try:
        function = looked_up(target)
    except AttributeError as error:
        raise SetupError(
            f"there is no {path!r} in module {module!r}: check the name, and that it stands at "
            "the top of its module"
        ) from error
    except ImportError as error:
        raise SetupError(
            f"module {module!r} cannot be imported here: {error}; check the name, and install it "
            "or run where it is"
        ) from error
    except Exception as error:  # a border: imports run what is not ours
        raise SetupError(
            f"the import of {module} raised {type(error).__name__}: {error}"
        ) from error
    if not callable(function):
        raise SetupError(f"{target} is no function, but {type(function).__name__}")
    return function


@functools.lru_cache(maxsize=1)
def _own_main() -> tuple[str, str]:
    name, path = main_name(), main_path()
    if name is not None:
        return name, ""
    assert path is not None  # `named` has looked
    return path, _digest(path)


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


# -- where they run -------------------------------------------------------------------------------


class Loaded:
    """A job, ready to run.

    Attributes:
        run: Takes a payload, returns the result.
        finals: Exceptions after which another try would come to the same.
    """

    def __init__(self, run: Callable[[Any], Any], raises: tuple[type[Exception], ...] = ()) -> None:
        self.run = run
        self.finals: tuple[type[Exception], ...] = (ArgumentMismatch, *raises)


def load(job: Job) -> Loaded:
    """Find what a job runs.

    Raises:
        SetupError: It is not here.
    """
    function = _found(job, job.target)
    raises: tuple[type[Exception], ...] = ()
    arguments: Arguments | None = None
    spec = _handler_of(function, job.target)
    if spec is not None:
        owner, spec_ = spec
        function, raises, arguments = _method(owner, spec_), spec_.raises, spec_.arguments
    elif inspect.isfunction(function):
        arguments = Arguments(None, function)
    if inspect.iscoroutinefunction(function):
        function = functools.partial(_awaited, _loop(), function)
    return Loaded(_runner(function, arguments, job), raises)


def load_initializer(job: Job) -> Callable[..., object]:
    """Find what is called before the first task.

    Raises:
        SetupError: It is not here.
    """
    function: Callable[..., object] = _found(job, job.initializer)
    return function


def _found(job: Job, target: str) -> Any:
    if target.startswith(f"{MAIN}:"):
        _load_main(job.main)
    return _at_target(target)


def _load_main(main: tuple[str, str]) -> None:
    """Load the script in which a target is, which may be another than that of this node."""
    name, digest = main
    file = Path(name)
    if digest and not (file.is_file() and _digest(name) == digest):
        raise SetupError(
            f"the script {name} is not here as it is where the tasks come from: put the function "
            "into a module that all machines have"
        )
    try:
        load_main(name if digest else None, None if digest else name)
    except Exception as error:  # a border: the script is not ours
        raise SetupError(f"the import of {name} raised {type(error).__name__}: {error}") from error


def _handler_of(function: Any, target: str) -> tuple[type[Actor], HandlerSpec] | None:
    """The actor class and the handler that a target means, None if it is a function."""
    if isinstance(function, type):
        if not issubclass(function, Actor):
            return None
        return function, _only_handler(function)
    head, _, name = target.rpartition(".")
    if ":" not in head:
        return None
    owner = looked_up(head)
    if not (isinstance(owner, type) and issubclass(owner, Actor)):
        return None
    spec = owner._actormq_handlers.get(name)  # noqa: SLF001 as above
    if spec is None:
        raise SetupError(f"{head}.{name} is not a handler: mark the method with @handler")
    return owner, spec


def _method(kind: type[Actor], spec: HandlerSpec) -> Callable[..., Any]:
    """A handler of an object that lives as long as this process."""
    actor = kind()
    if kind.on_start is not Actor.on_start:
        _loop().run_until_complete(actor.on_start())
    bound: Callable[..., Any] = getattr(actor, spec.name)
    return bound


@functools.lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    """The loop on which `async def` runs, one task at a time."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def _awaited(
    loop: asyncio.AbstractEventLoop, function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    return loop.run_until_complete(function(*args, **kwargs))


def _runner(
    function: Callable[..., Any], arguments: Arguments | None, job: Job
) -> Callable[[Any], Any]:
    if arguments is not None and arguments.is_open and job.mode != "one":
        arguments = None  # Python itself complains of a wrong count
    make = {"one": _runner_of_one, "call": _runner_of_call, "chunk": _runner_of_chunk}[job.mode]
    return make(function, arguments, job.target.partition(":")[0])


def _runner_of_one(
    function: Callable[..., Any], arguments: Arguments | None, label: str
) -> Callable[[Any], Any]:
    if arguments is None or arguments.single is Any:
        return function
    single, checked = arguments.single, arguments.checked

    def run_one(value: Any) -> Any:
        if type(value) is single:
            return function(value)
        kwargs: dict[str, Any] = {}
        return function(*checked(label, (value,), kwargs), **kwargs)

    return run_one


def _runner_of_call(
    function: Callable[..., Any], arguments: Arguments | None, label: str
) -> Callable[[Any], Any]:
    def call(payload: Any) -> Any:
        args, kwargs = payload
        if arguments is not None:
            args = arguments.checked(label, args, kwargs)
        return function(*args, **kwargs)

    return call


def _runner_of_chunk(
    function: Callable[..., Any], arguments: Arguments | None, label: str
) -> Callable[[Any], Any]:
    def run_all(columns: Sequence[Sequence[Any]]) -> list[Any]:
        if arguments is None or arguments.are_exact(columns):
            return list(map(function, *columns))  # by far the fastest: there is no Python in it
        results = []
        for args in zip(*columns, strict=True):
            kwargs: dict[str, Any] = {}
            results.append(function(*arguments.checked(label, args, kwargs), **kwargs))
        return results

    return run_all

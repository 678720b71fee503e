"""A program of many actors as a file: what to run on a node, read and checked before it starts.

[node]
name = "roof"
mesh = "home"

[[actor]]
class = "apps.weather:Station"
name = "station-98101"
args = { station = "98101" }
restart = "on_error"        # or "always", "never"; left out, nobody supervises it
"""

from __future__ import annotations

import importlib
import inspect
import sys
import tomllib
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from actormq.actor import Actor
from actormq.errors import SetupError
from actormq.rules.restart import RestartPolicy, checked_policy
from actormq.settings import checked


@dataclass(frozen=True, slots=True)
class Plan:
    """One actor to be spawned.

    Attributes:
        kind: Its class.
        name: Its name.
        args: Keyword arguments of its constructor.
        restart: When it is restarted; None: nobody supervises it.
    """

    kind: type[Actor]
    name: str
    args: dict[str, Any]
    restart: RestartPolicy | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """What one node runs.

    Attributes:
        node: Settings of the node, as `Node` takes them.
        actors: What to spawn, in order.
    """

    node: dict[str, Any]
    actors: list[Plan]


def load(path: str) -> Topology:
    """Read a topology file; `-` is standard input.

    Raises:
        SetupError: It cannot be read, is no TOML, or names something that is not there.
    """
    source = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SetupError(
            f"{source} cannot be read: {reason}; name a topology file such as home.toml"
        ) from error
    return parse(text, source)


def parse(text: str, source: str) -> Topology:
    """Read a topology from TOML.

    Args:
        text: The TOML.
        source: Where it is from, for errors.

    Raises:
        SetupError: As `load`.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{source} is no TOML: {error}") from error
    unknown = sorted(set(raw) - {"node", "actor"})
    if unknown:
        raise SetupError(f"{source}: unknown table [{unknown[0]}]: it has [node] and [[actor]]")
    node, actors = raw.get("node", {}), raw.get("actor", [])
    if not isinstance(node, dict) or not isinstance(actors, list):
        raise SetupError(f"{source}: [node] is one table, [[actor]] one for each actor")
    try:
        checked(node)
    except SetupError as error:
        raise SetupError(f"{source}, [node]: {error}") from error
    return Topology(node, [_plan(f"{source}, actor {n}", a) for n, a in enumerate(actors, 1)])


def _plan(where: str, raw: Any) -> Plan:
    if not isinstance(raw, dict) or not isinstance(raw.get("class"), str):
        raise SetupError(f'{where}: needs class = "module:Class"')
    unknown = sorted(set(raw) - {"class", "name", "args", "restart"})
    if unknown:
        raise SetupError(f"{where}: unknown key {unknown[0]!r}: it has class, name, args, restart")
    try:
        kind = find_class(raw["class"])
        restart = checked_policy(raw["restart"]) if "restart" in raw else None
    except SetupError as error:
        raise SetupError(f"{where}: {error}") from error
    name, args = raw.get("name", kind.__name__.lower()), raw.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict):
        raise SetupError(f"{where}: name is a text, args a table such as {{ station = '98101' }}")
    return Plan(kind, name, checked_args(f"{where} ({name})", kind, args), restart)


def find_class(target: str) -> type[Actor]:
    """Import `module:Class`, the current folder first.

    Raises:
        SetupError: There is no such module or class, the module raises, or it is no actor.
    """
    module, kind = _found(target, "class", "module:Class")
    if kind is None:
        raise _missing(target, module, "class", "actor", _is_actor)
    if not _is_actor(kind):
        raise SetupError(f"{target} is no actor: it does not extend actormq.Actor")
    found: type[Actor] = kind
    return found


def find_function(target: str) -> Any:
    """Import `module:function`, the current folder first; a class or a method may stand for one.

    Raises:
        SetupError: There is no such module or function, the module raises, or it cannot be called.
    """
    module, function = _found(target, "function", "module:function")
    if function is None:
        own = module.__name__  # what it has imported from elsewhere is not meant

        def is_own(value: Any) -> bool:
            return inspect.isroutine(value) and getattr(value, "__module__", None) == own

        raise _missing(target, module, "function", "function", is_own)
    if not callable(function):
        raise SetupError(f"{target} is no function: it is {type(function).__name__} and no more")
    return function


def look_here() -> None:
    """Let modules of the current folder be found, as `python -m` does."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _found(target: str, what: str, form: str) -> tuple[Any, Any]:
    """A module and what it has of a name, None if it has nothing."""
    module_name, colon, path = target.partition(":")
    if not colon or not module_name or not path:
        raise SetupError(f"{target!r} is no {what}: write it as {form}")
    look_here()
    try:
        module = importlib.import_module(module_name)
        value: Any = module
        for part in path.split("."):
            value = getattr(value, part, None)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise SetupError(
                f"there is no module {module_name!r}: looked in this folder and in the installed "
                "packages"
            ) from error
        raise SetupError(f"module {module_name!r} needs {error.name!r}: install it") from error
    except (Exception, SystemExit) as error:  # a border: the module is not ours
        text = f"{type(error).__name__}: {error}"
        raise SetupError(f"module {module_name!r} cannot be imported: {text}") from error
    return module, value


def _missing(
    target: str, module: Any, what: str, sought: str, is_sought: Callable[[Any], bool]
) -> SetupError:
    """That a module has no such thing, and what it has instead."""
    module_name, _, path = target.partition(":")
    names = sorted({*dir(module), *getattr(module, "__all__", ())})
    known = [n for n in names if n[0] != "_" and is_sought(getattr(module, n, None))]
    has = ", ".join(known) or f"no {sought}"
    return SetupError(f"module {module_name!r} has no {what} {path!r}: it has {has}")


def _is_actor(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Actor) and value is not Actor


def checked_args(where: str, kind: type[Actor], args: Mapping[str, Any]) -> dict[str, Any]:
    """Check a constructor's arguments against its annotations, before anything starts.

    Raises:
        SetupError: One is missing, unknown, or of another type.
    """
    signature = inspect.signature(kind)
    try:
        signature.bind(**args)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "nothing"
        raise SetupError(
            f"{where}: {kind.__name__} cannot be made of these args: {error}; it takes {takes}"
        ) from error
    hints = _hints(kind)
    checked = {}
    for name, value in args.items():
        try:
            checked[name] = msgspec.convert(value, hints.get(name, Any))
        except (msgspec.ValidationError, TypeError) as error:
            raise SetupError(f"{where}: argument {name!r} does not fit: {error}") from error
    return checked


def read_args(kind: type[Actor], pairs: Mapping[str, str]) -> dict[str, Any]:
    """Read arguments that were given as text, by the annotations of a constructor.

    What is annotated as text stays text; numbers and truth values are read as such, all else as
    JSON. Without an annotation, what reads as JSON is JSON.

    Raises:
        SetupError: A text cannot be read as what the constructor wants.
    """
    hints = _hints(kind)
    return {name: _read(name, text, hints.get(name, Any)) for name, text in pairs.items()}


def _read(name: str, text: str, kind: Any) -> Any:
    if kind is Any:
        return from_json(text)
    try:
        return msgspec.convert(text, kind, strict=False)
    except (msgspec.ValidationError, TypeError) as error:
        try:
            return msgspec.json.decode(text.encode(), type=kind)
        except (msgspec.MsgspecError, TypeError):
            raise SetupError(f"--arg {name}={text}: {error}") from error


def from_json(text: str) -> Any:
    """A text as the JSON value that it is, or else as itself."""
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text


def _hints(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind.__init__)  # type: ignore[misc]  # only read
    except (NameError, TypeError, AttributeError):
        return {}  # annotations for the type checker only: the constructor sees for itself

"""Classes and functions by name: what a process is told, and how it finds what was meant.

No object travels, only `module:Class` or `module:function`. Those of a user's script are in
`__main__`, which is another module in the other process: that one loads the script under a name of
its own, up to where it starts its node.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

from actormq.actor import Actor
from actormq.errors import SetupError

MAIN = "__main__"
LOADED_MAIN = "__actormq_main__"  # the script of the node, as a process of its actors has it


_METHODS = (types.MethodType, types.BuiltinMethodType)


class Reached(BaseException):
    """The script has come to where it would start a node: all before that has been defined."""


class _Loading:
    is_on = False


def pass_over() -> None:
    """Go no further if this is a script that is only loaded for its classes.

    Raises:
        Reached: It is.
    """
    if _Loading.is_on:
        raise Reached


def target_of(kind: type, where: str = "process") -> str:
    """Name a class so that another process finds it.

    Raises:
        SetupError: It cannot be found from its name, or lives where nobody else can look.
    """
    return named(kind, kind.__module__, kind.__qualname__, "class", f"a {where} of its own")


def named(thing: object, module: str, path: str, noun: str, where: str) -> str:
    """Name what stands in a module so that another process finds it.

    Args:
        thing: What is meant.
        module: Where it says that it was defined.
        path: What it says that it is called there.
        noun: What it is, for errors.
        where: What the other process is, such as "a worker", for errors.

    Raises:
        SetupError: It cannot be found from its name, or lives where nobody else can look.
    """
    if "<locals>" in path:
        raise SetupError(
            f"{path} is defined inside a function, where {where} cannot find it: "
            f"move the {noun} to the top of its module"
        )
    if module == MAIN and main_path() is None and main_name() is None:
        raise SetupError(
            f"{path} was typed into a session, which {where} cannot read: put the "
            f"{noun} into a file"
        )
    try:
        there = at(sys.modules[module], path)
    except (KeyError, AttributeError):
        there = None
    # A method of a class is made anew at each look.
    if there is not thing and not (isinstance(thing, _METHODS) and there == thing):
        raise SetupError(
            f"{module}:{path} is not where its name says, and {where} would not find it: bind the "
            f"{noun} to its own name at the top of its module"
        )
    return f"{MAIN if module == LOADED_MAIN else module}:{path}"


def main_path() -> str | None:
    """The file of the running script, None if it has none."""
    main = sys.modules.get(MAIN)
    file = getattr(main, "__file__", None)
    if main_name() is not None or file is None or not Path(file).is_file():
        return None
    return str(Path(file).resolve())


def main_name() -> str | None:
    """The module that was started with `python -m`, None if none was."""
    spec = getattr(sys.modules.get(MAIN), "__spec__", None)
    # A folder or archive that is run as such is `__main__` once more, and no module.
    return spec.name if spec is not None and spec.name != MAIN else None


def load_main(path: str | None, name: str | None) -> None:
    """Load the script of the node under a name of its own, in a process of one of its actors.

    Whatever it raises comes out.
    """
    if LOADED_MAIN in sys.modules:
        return
    _Loading.is_on = True
    try:
        if name is not None:
            module = importlib.import_module(name)
        else:
            from importlib import machinery, util  # noqa: PLC0415 only such a process needs them

            assert path is not None
            loader = machinery.SourceFileLoader(LOADED_MAIN, path)
            spec = util.spec_from_loader(LOADED_MAIN, loader)
            assert spec is not None
            module = util.module_from_spec(spec)
            sys.modules[LOADED_MAIN] = module
            try:
                loader.exec_module(module)
            except Reached:
                pass
            except BaseException:
                del sys.modules[LOADED_MAIN]
                raise
        sys.modules[LOADED_MAIN] = module
    finally:
        _Loading.is_on = False


def found(target: str) -> type[Actor]:
    """Find the class of a target; `__main__` is the script of the node.

    Raises:
        SetupError: It is not there, or no actor.
        Exception: Whatever its module raises as it is imported.
    """
    try:
        kind = looked_up(target)
    except AttributeError:
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, Actor)):
        raise SetupError(
            f"{target} is no actor class where a process of its own looks for it: define it at "
            "the top of its module, above what starts the node"
        )
    return kind


def looked_up(target: str) -> Any:
    """Find whatever a target names; `__main__` is the script of the node.

    Raises:
        AttributeError: The module has nothing of that name.
        Exception: Whatever the module raises as it is imported.
    """
    module_name, _, path = target.partition(":")
    if module_name == MAIN and LOADED_MAIN in sys.modules:
        module_name = LOADED_MAIN
    return at(sys.modules.get(module_name) or importlib.import_module(module_name), path)


def at(module: object, path: str) -> object:
    """What stands at a dotted path.

    Raises:
        AttributeError: Nothing does.
    """
    value = module
    for part in path.split("."):
        value = getattr(value, part)
    return value

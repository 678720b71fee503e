"""The sockets that a topology file stands for, read without running any of its actors.

The file names classes and arguments. What their sockets do is in the classes: where they bind and
connect as class attributes, whether they subscribe and answer as the source of the methods.
"""

from __future__ import annotations

import ast
import functools
import inspect
import string
import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from actormq.actor import Actor
from actormq.patterns.sockets import Wiring
from actormq.rules.meeting import SocketPlan
from actormq.settings import checked
from actormq.topology import Plan, Topology, load

_HARMLESS = {"hash", "id", "isinstance", "repr", "str", "super", "type"}
"""What an actor may be given to without its sockets being used there."""

_Method = ast.FunctionDef | ast.AsyncFunctionDef


def read(path: str) -> list[SocketPlan]:
    """Read the sockets of a topology file; `-` is standard input.

    Raises:
        SetupError: As `topology.load`.
    """
    return sockets(load(path), "standard input" if path == "-" else path)


def sockets(topology: Topology, file: str) -> list[SocketPlan]:
    """The sockets of a topology, in its order.

    Args:
        topology: What the file says.
        file: Its name, for what is said of the sockets.
    """
    settings = checked(topology.node)
    sources: dict[type[Actor], _Source] = {}
    found = []
    for plan in topology.actors:
        if plan.kind not in sources:
            sources[plan.kind] = _Source(plan.kind)
        source = sources[plan.kind]
        planned = functools.partial(
            SocketPlan,
            file=file,
            mesh=settings.mesh,
            is_local=not settings.insecure_lan,
            actor=plan.name,
            owner=f"{plan.kind.__module__}:{plan.kind.__qualname__}",
        )
        found += [*_own(plan, source, planned), *_faces(plan, source, planned)]
    return found


# -- sockets of a class ---------------------------------------------------------------------------


_Planned = Callable[..., SocketPlan]
"""Makes the plan of a socket from what is its own; where it is and whose is filled in."""


def _own(plan: Plan, source: _Source, planned: _Planned) -> Iterator[SocketPlan]:
    """The sockets that are attributes of an actor's class."""
    values = _Values(plan, source)
    for attribute, spec in plan.kind._actormq_sockets.items():  # noqa: SLF001 the actors' own table
        wiring = getattr(spec, "wiring", None)
        if isinstance(wiring, Wiring):
            yield planned(
                attribute=attribute,
                kind=wiring.socket,
                service=wiring.service,
                is_binder=wiring.is_binder,
                bind=values.filled(wiring.bind),
                connect=values.filled(wiring.connect),
                codec=wiring.codec,
                is_subscribed=source.calls(attribute, "subscribe"),
                is_answered=source.calls(attribute, "send", "send_nowait"),
            )


def _faces(plan: Plan, source: _Source, planned: _Planned) -> Iterator[SocketPlan]:
    """The two sides of a device, which its actor opens by itself."""
    values = _Values(plan, source)
    for side, kind in zip(("frontend", "backend"), getattr(plan.kind, "faces", ()), strict=False):
        endpoint, connects = values.of(side), values.of(f"{side}_connect")
        is_known = isinstance(endpoint, str) and isinstance(connects, bool)
        endpoints = (endpoint,) if is_known else ()
        yield planned(
            attribute=side,
            kind=kind,
            is_binder=connects is False,
            bind=() if connects else endpoints,
            connect=endpoints if connects else (),
            codec=None,
        )


class _Values:
    """What an actor's attributes will be, as far as its arguments and its class show it."""

    def __init__(self, plan: Plan, source: _Source) -> None:
        self._plan = plan
        self._source = source
        bound = inspect.signature(plan.kind).bind(**plan.args)
        bound.apply_defaults()
        self._arguments = bound.arguments

    def of(self, name: str) -> object:
        """The value of an attribute; None if it is not known."""
        if name == "name" and inspect.getattr_static(self._plan.kind, name) is Actor.name:
            return self._plan.name
        is_argument = name in self._arguments
        if not (self._source.keeps(name) if is_argument else not self._source.sets(name)):
            return None
        value = self._arguments.get(name)
        if value is None:  # what is not given may be as the class has it
            value = inspect.getattr_static(self._plan.kind, name, None)
        return value if isinstance(value, str | int) else None

    def filled(self, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        """Endpoints with attributes in place of their names; left as they are if one is unknown."""
        found = []
        for endpoint in endpoints:
            parsed = string.Formatter().parse(endpoint)
            values = {name: self.of(name) for _, name, _, _ in parsed if name is not None}
            is_known = bool(values) and None not in values.values()
            found.append(endpoint.format(**values) if is_known else endpoint)
        return tuple(filter(None, found))


# -- what the source shows ------------------------------------------------------------------------


class _Source:
    """What the methods of a class and its bases do with their attributes, read and never run.

    Args:
        kind: The class.
    """

    def __init__(self, kind: type[Actor]) -> None:
        self._uses: defaultdict[str, set[str]] = defaultdict(set)  # what follows: `.feed.publish`
        self._bare: set[str] = set()  # used as themselves: kept, passed on, replaced
        self._stores: Counter[str] = Counter()
        self._plain_stores: Counter[str] = Counter()  # `self.port = port`
        self._locals: set[str] = set()
        self._is_open = False  # whether other code may use the attributes too
        for base in kind.__mro__:
            if (
                base is not Actor
                and base.__module__.partition(".")[0] not in sys.stdlib_module_names
            ):
                self._read(base)

    def calls(self, attribute: str, *methods: str) -> bool | None:
        """Say whether one of these methods of an attribute is used; None if that is not sure."""
        if not self._uses[attribute].isdisjoint(methods):
            return True
        return None if self._is_open or attribute in self._bare else False

    def sets(self, name: str) -> bool:
        """Say whether a method sets an attribute."""
        return self._stores[name] > 0

    def keeps(self, name: str) -> bool:
        """Say whether an argument becomes the attribute of its name, as far as is to be seen."""
        return self._stores[name] == self._plain_stores[name] and name not in self._locals

    def _read(self, base: type) -> None:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, TypeError, SyntaxError):  # made at run time, or in a shell
            self._is_open = True
            return
        if not isinstance(tree, ast.ClassDef) or tree.decorator_list:
            self._is_open = True
            return
        for node, parent in _walk(tree, tree):
            self._note(node, parent)
        for method in tree.body:
            if isinstance(method, _Method):
                names = [node for node in ast.walk(method) if isinstance(node, ast.Name)]
                self._locals |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
                self._is_open = self._is_open or _lets_out(method)

    def _note(self, node: ast.AST, parent: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            if isinstance(parent, ast.Attribute):
                self._uses[node.attr].add(parent.attr)
            else:
                self._bare.add(node.attr)
            self._stores[node.attr] += isinstance(node.ctx, ast.Store)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target, value in _assigned(node):
                match target, value:
                    case ast.Attribute(attr=name), ast.Name(id=same) if name == same:
                        self._plain_stores[name] += 1


def _walk(node: ast.AST, parent: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    yield node, parent
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, node)


def _assigned(node: ast.Assign | ast.AnnAssign) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Targets with their values, those of `self.a, self.b = a, b` one by one."""
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        value = node.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            yield from zip(target.elts, value.elts, strict=False)
        else:
            yield target, value


def _lets_out(method: _Method) -> bool:
    """Say whether a method gives its actor to other code, as in `getattr(self, name)`."""
    arguments = [*method.args.posonlyargs, *method.args.args]
    marks = [mark.id for mark in method.decorator_list if isinstance(mark, ast.Name)]
    if not arguments or "staticmethod" in marks:
        return False
    for node, parent in _walk(method, method):
        if isinstance(node, ast.Name) and node.id == arguments[0].arg:
            callee = parent.func if isinstance(parent, ast.Call) else None
            is_harmless = isinstance(callee, ast.Name) and callee.id in _HARMLESS
            if not isinstance(parent, ast.Attribute) and not is_harmless:
                return True
    return False

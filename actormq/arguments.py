"""Checks arguments from a wire against a handler's annotations, before it runs.

msgspec does the checking and the making: what was a dataclass, an enum or a `UUID` on the other
side becomes one again here.
"""

from __future__ import annotations

import contextlib
import inspect
import pathlib
import types
import typing
import warnings
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from actormq.errors import ArgumentMismatch

_EXACT = (str, int, float, bool, bytes, type(None))
"""Types for which a value of exactly that type needs no further check."""

_UNIONS = (typing.Union, types.UnionType)  # `Optional[int]` and `int | None`

_SHOWN = 60  # characters of a value in an error: enough to know it again


class Arguments:
    """The parameters of one function, ready to check values against.

    Args:
        owner: The class, for errors; None for a function that is nobody's method.
        function: The function; the first parameter of a method is the actor.
        are_texts: Whether the values are texts that stand for what the annotations say: "5" for
            an int.

    Attributes:
        is_open: Whether no annotation asks for anything.
    """

    def __init__(
        self, owner: type | None, function: Callable[..., Any], *, are_texts: bool = False
    ) -> None:
        self._name = function.__name__
        self._is_strict = not are_texts
        parameters = list(inspect.signature(function).parameters.values())
        if owner is not None:
            del parameters[0]
        self._signature = inspect.Signature(parameters)
        hints = _hints(owner.__name__ if owner else function.__module__, function)
        self._kinds = {p.name: hints.get(p.name, Any) for p in parameters}
        self._positional = [
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self._required = sum(
            p.default is p.empty
            for p in parameters
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        )
        self._is_simple = len(self._positional) == len(parameters)
        kinds = tuple(self._kinds[name] for name in self._positional)
        are_exact = all(kind is Any or kind in _EXACT for kind in kinds)
        self._exact = kinds if self._is_simple and are_exact else None
        self.is_open = all(kind is Any for kind in self._kinds.values())

    @property
    def single(self) -> Any:
        """What one argument alone must be of, exactly, to need no check: a type, or Any.

        None if it needs one.
        """
        if self._is_simple and self._required <= 1 <= len(self._positional):
            kind = self._kinds[self._positional[0]]
            if kind is Any or kind in _EXACT:
                return kind
        return None

    def are_exact(self, columns: Sequence[Sequence[Any]]) -> bool:
        """Say whether the arguments of many calls need no check.

        Args:
            columns: All the first arguments, all the second ones, and so on.
        """
        exact = self._exact
        if exact is None or not self._required <= len(columns) <= len(exact):
            return False
        return all(
            kind is Any or set(map(type, column)) <= {kind}
            for kind, column in zip(exact, columns, strict=False)
        )

    def are_exact_rows(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Say whether the arguments of many calls need no check.

        Args:
            rows: Those of each call, one or more.
        """
        exact = self._exact
        lengths = set(map(len, rows))
        if exact is None or len(lengths) > 1:
            return False
        [length] = lengths
        # No column is built, nor an iterator for each row: that would wake the garbage collector.
        return self._required <= length <= len(exact) and all(
            kind is Any or set(map(type, map(itemgetter(place), rows))) == {kind}
            for place, kind in enumerate(exact[:length])
        )

    def checked(self, actor: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Sequence[Any]:
        """Check and convert arguments.

        Args:
            actor: The receiver, for errors.
            args: As they came: plain values.
            kwargs: Likewise; converted in place.

        Returns:
            The positional arguments, converted.

        Raises:
            ArgumentMismatch: One does not fit, is missing, or was not expected.
        """
        exact = self._exact
        if exact is not None and not kwargs and len(args) == len(exact):
            for value, kind in zip(args, exact, strict=True):
                if type(value) is not kind and kind is not Any:
                    break
            else:
                return args  # by far the most messages
        if (
            not self._is_simple
            or kwargs
            or not self._required <= len(args) <= len(self._positional)
        ):
            return self._bound(actor, args, kwargs)
        return [
            self._converted(actor, name, value)
            for name, value in zip(self._positional, args, strict=False)
        ]

    def converted(
        self, columns: Sequence[list[Any]], is_last_fit: bool = False
    ) -> list[list[Any]] | None:
        """Check and convert the arguments of many calls in one go.

        Args:
            columns: All the first arguments, all the second ones, and so on: plain values.
            is_last_fit: Whether the last ones have been read by a `decoder`.

        Returns:
            The same, converted; None if they have to be checked one by one, since one of them
            perhaps does not fit.
        """
        if not (self._is_simple and self._required <= len(columns) <= len(self._positional)):
            return None
        kinds = [*self._kinds.values()][: len(columns)]
        if is_last_fit:
            kinds[-1] = Any
        try:
            return [
                column if kind is Any else _convert(column, list[kind], self._is_strict)  # type: ignore[valid-type]  # made at run time
                for column, kind in zip(columns, kinds, strict=True)
            ]
        except Exception:  # noqa: BLE001 a border: a `__post_init__` is not ours
            return None

    def decoder(
        self, place: int, extension: Callable[[int, memoryview], Any]
    ) -> msgspec.msgpack.Decoder[list[Any]] | None:
        """Make what reads one argument of many calls from msgpack, checked and converted.

        Args:
            place: Which one, from 0.
            extension: Reads ext types.

        Returns:
            None if msgspec cannot, or there is no such argument.
        """
        if not (self._is_simple and self._is_strict and place < len(self._positional)):
            return None
        kind = self._kinds[self._positional[place]]
        try:
            return msgspec.msgpack.Decoder(list[kind], dec_hook=_as_it_is, ext_hook=extension)  # type: ignore[valid-type]  # made at run time
        except (TypeError, NameError, AttributeError):
            # A union of types that it knows with others, or a class with a field of a type that is
            # imported for the type checker only: what comes for it is refused one by one.
            return None

    def _bound(self, actor: str, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """The long way, for keywords, `*args`, `**kwargs` and for finding what is wrong."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            expected = str(self._signature)
            got = ", ".join([*map(_shown, args), *(f"{k}={_shown(v)}" for k, v in kwargs.items())])
            raise ArgumentMismatch(
                actor, self._name, _blamed(str(error)), expected, f"({got}): {error}"
            ) from error
        for name, value in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                bound.arguments[name] = tuple(self._converted(actor, name, v) for v in value)
            elif kind is inspect.Parameter.VAR_KEYWORD:
                bound.arguments[name] = {
                    k: self._converted(actor, name, v) for k, v in value.items()
                }
            else:
                bound.arguments[name] = self._converted(actor, name, value)
        kwargs.clear()
        kwargs.update(bound.kwargs)
        return list(bound.args)

    def _converted(self, actor: str, name: str, value: Any) -> Any:
        kind = self._kinds[name]
        if kind is Any or (type(value) is kind and kind in _EXACT):
            return value
        if type(value) is bool and _takes_bool(kind):
            return value
        try:
            return _convert(value, kind, self._is_strict)
        except Exception as error:  # a border: a `__post_init__` is not ours
            raise ArgumentMismatch(
                actor, self._name, name, _type_name(kind), f"{_shown(value)} ({error})"
            ) from error


def _takes_bool(kind: Any) -> bool:
    """Whether Python takes a bool for this: it is an int as well. msgspec keeps the two apart."""
    return kind is int or (typing.get_origin(kind) in _UNIONS and int in typing.get_args(kind))


def _convert(value: Any, kind: Any, is_strict: bool) -> Any:
    try:
        return msgspec.convert(value, kind, dec_hook=_as_it_is, strict=is_strict)
    except TypeError:
        # msgspec takes no union of types that it knows with others, such as `Ref[A] | str`.
        if typing.get_origin(kind) not in _UNIONS:
            raise
    for choice in typing.get_args(kind):
        with contextlib.suppress(msgspec.ValidationError, TypeError):
            return msgspec.convert(value, choice, dec_hook=_as_it_is, strict=is_strict)
    raise TypeError(f"expected {_type_name(kind)}, got {type(value).__name__}")


def _as_it_is(kind: Any, value: Any) -> Any:
    """For types msgspec does not know (refs, arrays): they must have come as what they are."""
    wanted = typing.get_origin(kind) or kind
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath) and isinstance(value, str):
        return kind(value)
    if isinstance(wanted, type) and isinstance(value, wanted):
        return value
    raise TypeError(f"expected {_type_name(kind)}, got {type(value).__name__}")


def _hints(owner: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        # Names imported for the type checker only, or classes made inside a function.
        warnings.warn(
            f"arguments of {owner}.{function.__name__} are not checked: {error}; "
            "import the types of its annotations at the top of the module",
            stacklevel=2,
        )
        return {}


def _blamed(text: str) -> str:
    """The argument that `Signature.bind` complains of."""
    parts = text.split("'")
    return parts[1] if len(parts) > 1 else "*args"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)

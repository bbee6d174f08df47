"""Turns the arguments of a call, which come as JSON, into what the annotations of the function ask for."""

import ast
import collections.abc
import dataclasses
import datetime
import enum
import inspect
import json
import types
import typing

UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))
LISTS = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.Set: set,
}
DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
MOMENTS = (datetime.datetime, datetime.date, datetime.time)


def annotations(function, scope):
    """The annotation of each parameter, as far as they can be evaluated."""
    try:
        return typing.get_type_hints(function, globalns=scope, include_extras=True)
    except Exception:
        found = {}
        for name, annotation in getattr(function, "__annotations__", {}).items():
            try:
                found[name] = eval(annotation, scope) if isinstance(annotation, str) else annotation
            except Exception:
                continue
        return found


def bind(function, scope, given, filled):
    """
    The keyword arguments of a call: `given`, in the types that the function asks for, and of `filled` what it has a
    parameter for. What it has no parameter for is left out, as V1 does.
    """
    parameters = inspect.signature(function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = annotations(function, scope)
    bound = {}
    for name, value in given.items():
        if name in filled:
            continue
        if name in parameters and parameters[name].kind in (
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.KEYWORD_ONLY,
        ):
            bound[name] = argument(name, value, hints.get(name, typing.Any), parameters[name])
        elif open_ended:
            bound[name] = value
    for name, value in filled.items():
        if name in parameters:
            bound[name] = value
    return bound


def argument(name, value, hint, parameter):
    # A model says null for an optional argument whose annotation forgot to.
    if value is None and parameter.default is None:
        return None
    try:
        return coerce(value, hint)
    except Exception as error:
        raise ValueError(
            "argument '%s' cannot be read as %s: %s" % (name, title(hint), error)
        ) from None


def title(hint):
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def coerce(value, hint):
    """The value as the annotation wants it. Raises for one that cannot be."""
    origin = typing.get_origin(hint)
    args = typing.get_args(hint)
    if origin is getattr(typing, "Annotated", None) or hasattr(hint, "__metadata__"):
        return coerce(value, args[0])
    if origin in UNIONS:
        return coerce_union(value, args)
    if origin is typing.Literal:
        return coerce_literal(value, args)
    plain = origin or hint
    if plain in LISTS:
        return coerce_list(value, plain, args)
    if plain in DICTS:
        parsed = parse(value)
        if not isinstance(parsed, dict):
            raise ValueError("%s is no object" % shown(value))
        if len(args) == 2:
            return {coerce(key, args[0]): coerce(item, args[1]) for key, item in parsed.items()}
        return parsed
    return coerce_class(value, plain) if isinstance(plain, type) else value


def coerce_union(value, options):
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    # What it is already wins over what it could be made to.
    for kind in kinds:
        plain = typing.get_origin(kind) or kind
        if isinstance(plain, type) and plain in (type(value), LISTS.get(type(value))):
            return coerce(value, kind)
    failure = None
    for kind in kinds:
        try:
            return coerce(value, kind)
        except Exception as error:
            failure = failure or error
    raise failure or ValueError("%s is nothing of that" % shown(value))


def coerce_literal(value, options):
    for option in options:
        if option == value and type(option) is type(value):
            return option
    for option in options:
        if str(option) == str(value):
            return option
    raise ValueError("%s is none of %s" % (shown(value), ", ".join(map(repr, options))))


def coerce_list(value, kind, args):
    parsed = parse(value)
    if not isinstance(parsed, (list, tuple)):
        raise ValueError("%s is no list" % shown(value))
    if kind is tuple and args and args[-1] is not Ellipsis:
        if len(parsed) != len(args):
            raise ValueError("it takes %d items, and there are %d" % (len(args), len(parsed)))
        return tuple(coerce(item, each) for item, each in zip(parsed, args))
    return LISTS[kind](coerce(item, args[0]) for item in parsed) if args else LISTS[kind](parsed)


def coerce_class(value, kind):
    if kind is str:
        return value if isinstance(value, str) else json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    if kind is bool:
        return coerce_bool(value)
    if kind is int:
        if isinstance(value, float) and value != int(value):
            raise ValueError("%s is no whole number" % value)
        return value if isinstance(value, int) and not isinstance(value, bool) else int(value)
    if kind is float:
        return float(value)
    if issubclass(kind, enum.Enum):
        return value if isinstance(value, kind) else enum_member(value, kind)
    if hasattr(kind, "model_validate"):
        return kind.model_validate(parse(value))
    if hasattr(kind, "parse_obj"):
        return kind.parse_obj(parse(value))
    if dataclasses.is_dataclass(kind):
        return coerce_dataclass(parse(value), kind)
    if kind in MOMENTS and isinstance(value, str):
        return kind.fromisoformat(value.replace("Z", "+00:00"))
    if issubclass(kind, dict) and hasattr(kind, "__total__"):
        hints = typing.get_type_hints(kind)
        return {key: coerce(item, hints.get(key, typing.Any)) for key, item in parse(value).items()}
    return value


def coerce_bool(value):
    if isinstance(value, str):
        word = value.strip().lower()
        if word not in ("true", "false", "1", "0", "yes", "no"):
            raise ValueError("%s is neither true nor false" % shown(value))
        return word in ("true", "1", "yes")
    return bool(value)


def enum_member(value, kind):
    try:
        return kind(value)
    except ValueError:
        if isinstance(value, str) and value in kind.__members__:
            return kind[value]
        raise


def coerce_dataclass(value, kind):
    if not isinstance(value, dict):
        raise ValueError("%s is no object" % shown(value))
    hints = typing.get_type_hints(kind)
    return kind(**{key: coerce(item, hints.get(key, typing.Any)) for key, item in value.items()})


def parse(value):
    """What a text means that stands where a list or an object is wanted: models send those, too."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value


def shown(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"

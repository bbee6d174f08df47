"""The schemas of annotations."""

import ast

from loci_models import Models
from loci_source import Problem, enum_schema, is_none

MAX_DEPTH = 32
MAX_NODES = 5000

PRIMITIVES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
# The runner makes them of what JSON has.
MOMENTS = {"datetime.datetime": "date-time", "datetime.date": "date", "datetime.time": "time"}
# Types of pydantic, which its models make of what they are given.
GIVEN = {
    "pydantic.EmailStr": {"type": "string", "format": "email"},
    "pydantic.HttpUrl": {"type": "string", "format": "uri"},
    "pydantic.AnyUrl": {"type": "string", "format": "uri"},
    "pydantic.PositiveInt": {"type": "integer", "exclusiveMinimum": 0},
    "pydantic.NonNegativeInt": {"type": "integer", "minimum": 0},
    "pydantic.PositiveFloat": {"type": "number", "exclusiveMinimum": 0},
    "pydantic.NonNegativeFloat": {"type": "number", "minimum": 0},
}
LISTS = ("list", "typing.Sequence", "typing.Iterable", "typing.MutableSequence", "typing.Collection")
SETS = ("set", "frozenset", "typing.Set", "typing.FrozenSet", "typing.AbstractSet")
DICTS = ("dict", "typing.Mapping", "typing.MutableMapping")

INSTEAD = {
    "datetime.timedelta": "take a number of seconds as float",
    "pathlib.Path": "take a str",
    "decimal.Decimal": "take a float or a str",
    "uuid.UUID": "take a str",
    "bytes": "take a str, such as base64",
    "bytearray": "take a str, such as base64",
    "complex": "take two floats",
    "object": "use Any, or a type that says what it holds",
    "typing.Callable": "a model can give values only",
}


class Types(Models):
    """Reads annotations."""

    def annotation(self, node, depth=0, within=()):
        """The schema of a type, and whether it may be left out."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = self.quoted(node)
        inner = self.optional(node)
        if inner is None:
            return self.schema(node, depth, within), False
        if isinstance(inner, ast.Constant) and inner.value is None:
            raise Problem(node, "Nothing but None fits this type: take the parameter away.")
        schema, _ = self.annotation(inner, depth + 1, within)
        return schema, True

    def quoted(self, node):
        try:
            inner = ast.parse(node.value.strip(), mode="eval").body
        except SyntaxError:
            raise Problem(node, f"{node.value!r} is no type.") from None
        # Places are those of the text in the source.
        for part in ast.walk(inner):
            if hasattr(part, "lineno"):
                part.lineno, part.col_offset = node.lineno, node.col_offset
        return inner

    def optional(self, node):
        """What is optional, for Optional[T], Union[T, None] and T | None; else None. Refuses other unions."""
        parts = self.union(node)
        if parts is None:
            alias = self.alias(node)
            return None if alias is None else self.optional(alias)
        rest = [part for part in parts if not is_none(part)]
        if len(rest) == 0:
            return ast.copy_location(ast.Constant(None), node)
        if len(rest) > 1:
            raise Problem(
                node,
                f"A union of types ({ast.unparse(node)}) is not supported: choose one type, use Literal for fixed values,"
                " or give json_schema.",
            )
        if len(rest) == len(parts):
            return None
        return rest[0]

    def union(self, node):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return [*(self.union(node.left) or [node.left]), *(self.union(node.right) or [node.right])]
        if isinstance(node, ast.Subscript):
            name = self.canonical(node.value)
            if name == "typing.Optional":
                return [*(self.union(node.slice) or [node.slice]), ast.copy_location(ast.Constant(None), node)]
            if name == "typing.Union":
                parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                return [one for part in parts for one in (self.union(part) or [part])]
        return None

    def schema(self, node, depth, within):
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise Problem(node, "This type is too large or nested too deeply: make it simpler, or give json_schema.")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = self.quoted(node)
        if is_none(node):
            return {"type": "null"}
        if isinstance(node, ast.Subscript):
            return self.subscript(node, depth, within)
        if isinstance(node, ast.Name) and node.id in self.classes:
            return self.class_schema(self.classes[node.id], node, depth, within)
        name = self.canonical(node)
        if name in PRIMITIVES:
            return {"type": PRIMITIVES[name]}
        if name in GIVEN:
            return dict(GIVEN[name])
        if name in MOMENTS:
            return {"type": "string", "format": MOMENTS[name]}
        if name in LISTS or name in SETS:
            return {"type": "array", "items": {"type": "string"}, **({"uniqueItems": True} if name in SETS else {})}
        if name in DICTS:
            return {"type": "object"}
        if name == "typing.Any":
            return {}
        if name == "tuple":
            raise Problem(node, "Say what the tuple holds, such as tuple[int, int].")
        alias = self.alias(node)
        if alias is not None:
            if ast.dump(alias) in within:
                raise Problem(node, f"{ast.unparse(node)} contains itself: a schema cannot; give json_schema.")
            return self.annotation(alias, depth + 1, (*within, ast.dump(alias)))[0]
        raise self.unknown(node, name)

    def unknown(self, node, name):
        text = ast.unparse(node)
        if name in INSTEAD:
            return Problem(node, f"{text} has no JSON type: {INSTEAD[name]}.")
        if name in ("pydantic.BaseModel", "enum.Enum", "typing.Literal", "typing.Optional", "typing.Union"):
            return Problem(node, f"{text} alone says nothing: name one of your own, or what it holds.")
        if isinstance(node, ast.Name) and node.id in self.names:
            return Problem(node, f"What {text} is stands elsewhere ({name}): declare it in this source, or give json_schema.")
        return Problem(
            node,
            f"{text} is no type that a tool can take: use str, int, float, bool, list, dict, Literal, Optional, an enum or"
            " a pydantic model of this source, or give json_schema.",
        )

    def subscript(self, node, depth, within):
        name = self.canonical(node.value)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name in LISTS:
            return {"type": "array", "items": self.items(parts[0], depth, within)}
        if name in SETS:
            return {"type": "array", "items": self.items(parts[0], depth, within), "uniqueItems": True}
        if name in DICTS:
            if len(parts) != 2:
                raise Problem(node, "A dict has a type for its keys and one for its values, such as dict[str, int].")
            if self.canonical(parts[0]) != "str":
                raise Problem(parts[0], "The keys of a dict must be str: JSON has no others.")
            values = self.items(parts[1], depth, within)
            return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
        if name == "typing.Literal":
            return self.literal(node, parts)
        if name == "tuple":
            return self.tuple(node, parts, depth, within)
        if name == "typing.Annotated":
            return self.annotated(parts, depth, within)
        if name in ("typing.Final", "typing.Required", "typing.NotRequired"):
            return self.items(parts[0], depth, within)
        if name in ("typing.Optional", "typing.Union"):
            # Union of one.
            return self.annotation(parts[0] if len(parts) == 1 else node, depth + 1, within)[0]
        if name in self.classes:
            raise Problem(node, f"{name} is generic, which cannot be read: write a class for this use of it.")
        raise self.unknown(node.value, name)

    def items(self, node, depth, within):
        """The schema of a value inside of another: None is one of its values there."""
        schema, nullable = self.annotation(node, depth + 1, within)
        return {"anyOf": [schema, {"type": "null"}]} if nullable else schema

    def literal(self, node, parts):
        values = []
        flat = []
        for part in parts:
            inner = part.slice if isinstance(part, ast.Subscript) and self.canonical(part.value) == "typing.Literal" else part
            flat += inner.elts if isinstance(inner, ast.Tuple) else [inner]
        for part in flat:
            found, value = self.constant(part)
            if not found or isinstance(value, (list, dict)):
                raise Problem(part, f"{ast.unparse(part)} is no fixed value: Literal takes strings, numbers and booleans.")
            if value not in [v for v in values if type(v) is type(value)]:
                values.append(value)
        return enum_schema(values)

    def tuple(self, node, parts, depth, within):
        if len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is Ellipsis:
            return {"type": "array", "items": self.items(parts[0], depth, within)}
        prefix = [self.items(part, depth, within) for part in parts]
        distinct = []
        for schema in prefix:
            if schema not in distinct:
                distinct.append(schema)
        return {
            "type": "array",
            "prefixItems": prefix,
            # Some providers refuse an array that does not say it.
            "items": distinct[0] if len(distinct) == 1 else {"anyOf": distinct},
            "minItems": len(prefix),
            "maxItems": len(prefix),
        }

    def annotated(self, parts, depth, within):
        schema = self.annotation(parts[0], depth + 1, within)[0]
        for extra in parts[1:]:
            if isinstance(extra, ast.Constant) and isinstance(extra.value, str):
                schema["description"] = extra.value
            elif isinstance(extra, ast.Call):
                self.field(schema, extra)
        return schema

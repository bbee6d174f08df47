"""Reads the source of a Python tool and says what it tells of the tool. Executes none of it.

Started by Loci as `python3 -I -S -B loci_derive.py`. Standard input: JSON {"source_code", "parameters",
"name"}; without `parameters` only what does not depend on annotations is read, and `name` is that of the function that is
the tool, where there is one: else it is the last. Standard output: JSON with `name`, `description`,
`parameters`, `comments` (those that begin with `loci:`), `imports`, `errors` and `warnings`, each with its line and column.
"""

import ast
import importlib.util
import inspect
import io
import json
import math
import re
import site
import sys
import tokenize

MAX_DEPTH = 32
MAX_NODES = 5000
MAX_LOOKUPS = 50

# What the runner fills in.
FILLED = ("self", "agent_state", "agent_id")

JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
PRIMITIVES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}

# Names that may be used without an import: an official client sends a function without its module.
KNOWN = {
    name: "typing." + name
    for name in ("Any", "Annotated", "ClassVar", "Dict", "Final", "List", "Literal", "NewType", "Optional")
    + ("Sequence", "Iterable", "Mapping", "Set", "FrozenSet", "Tuple", "TypeAlias", "TypedDict", "Union", "Callable")
}
KNOWN.update({name: "enum." + name for name in ("Enum", "IntEnum", "StrEnum", "auto")})
KNOWN.update({name: "pydantic." + name for name in ("BaseModel", "Field", "PrivateAttr")})
KNOWN.update({"dataclass": "dataclasses.dataclass", "field": "dataclasses.field"})

# The runner makes them of what JSON has.
MOMENTS = {"datetime.datetime": "date-time", "datetime.date": "date", "datetime.time": "time"}
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

CONSTRAINTS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "regex": "pattern",
    "title": "title",
    "examples": "examples",
}

SECTIONS = re.compile(
    r"^(Args|Arguments|Parameters|Params|Attributes|Example|Examples|Returns|Return|Yields|Raises|Exceptions|Except):\s*$",
    re.MULTILINE,
)
FIELD = re.compile(r"^:(?:param|parameter|arg|argument)\s+(?:[^:\s]+\s+)?\*{0,2}(\w+)\s*:\s*", re.MULTILINE)
ANY_FIELD = re.compile(r"^:\w+[^:\n]*:", re.MULTILINE)


class Problem(Exception):
    def __init__(self, node, message):
        super().__init__(message)
        self.node = node
        self.message = message


class Reader:
    def __init__(self, source):
        self.source = source
        self.lines = io.StringIO(source, newline=None).readlines()
        self.errors = []
        self.warnings = []
        self.names = {}
        self.classes = {}
        self.aliases = {}
        self.nodes = 0
        self.found = {}

    # --- places

    def place(self, node):
        line = getattr(node, "lineno", 1)
        offset = getattr(node, "col_offset", 0)
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return {"line": line, "column": len(text.encode()[:offset].decode(errors="ignore")) + 1}

    def error(self, problem):
        self.errors.append({"message": problem.message, **self.place(problem.node)})

    def warn(self, node, message):
        warning = {"message": message, **self.place(node)}
        if warning not in self.warnings:
            self.warnings.append(warning)

    # --- the module

    def read(self, with_parameters, wanted):
        tree = ast.parse(self.source)
        imports = self.collect(tree)
        functions = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        if not functions:
            raise Problem(tree, "The source has no function: the last top-level `def` is the tool.")
        function = next((f for f in reversed(functions) if f.name == wanted), functions[-1])
        if function.name.startswith("_"):
            self.warn(function, f"The last function, {function.name}, is the tool: put helpers before it.")
        doc = Docstring(ast.get_docstring(function, clean=True))
        answer = {"name": function.name, "description": doc.description, "parameters": None, "imports": imports}
        answer.update(self.place(function))
        self.calling(function, with_parameters)
        if with_parameters:
            if not doc.description:
                self.warn(function, f"{function.name} has no description: begin its docstring with what it does.")
            answer["parameters"] = self.parameters(function, doc)
        return answer

    def collect(self, tree):
        """Notes what the names of the module stand for. Answers what is imported anywhere in it."""
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self.aliases[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                self.aliases[node.target.id] = node.value
            elif type(node).__name__ == "TypeAlias":
                self.aliases[node.name.id] = node.value
        imports = []
        standard = getattr(sys, "stdlib_module_names", None)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    self.names[name.asname or name.name.split(".")[0]] = (
                        name.name if name.asname else name.name.split(".")[0]
                    )
                found = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                if node.level:
                    self.error(Problem(node, "A tool is one file: it has nothing to import from beside it."))
                    continue
                for name in node.names:
                    self.names[name.asname or name.name] = f"{node.module}.{name.name}"
                found = [f"{node.module}.{name.name}" for name in node.names]
            elif isinstance(node, ast.Attribute):
                name = self.canonical(node)
                if name in ("os.system", "os.popen", "os.fork", "os.forkpty", "os.execv", "os.execvp", "os.kill"):
                    imports.append({"name": name, "standard": True, **self.place(node)})
                continue
            else:
                continue
            for name in found:
                top = name.split(".")[0]
                known = None if standard is None else top in standard or self.installed(top)
                imports.append({"name": name, "standard": known, **self.place(node)})
        return imports

    def installed(self, name):
        """Whether this Python has a package. It is looked for, not loaded."""
        if name not in self.found:
            if not self.found:
                site.main()
            try:
                here = len(self.found) < MAX_LOOKUPS and importlib.util.find_spec(name) is not None
            except (ImportError, ValueError):
                here = False
            self.found[name] = here
        return self.found[name]

    def canonical(self, node):
        """The full name of what an expression names, or None."""
        if isinstance(node, ast.Attribute):
            base = self.canonical(node.value)
            return base and canonical_typing(f"{base}.{node.attr}")
        if not isinstance(node, ast.Name):
            return None
        name = self.names.get(node.id)
        if name is None:
            # The module's own classes hide what is known without an import.
            name = node.id if node.id in self.classes else KNOWN.get(node.id, node.id)
        return canonical_typing(name)

    # --- the function

    def calling(self, function, with_parameters):
        """What cannot be called by name; a given schema may well fill `**values`."""
        args = function.args
        if with_parameters and args.vararg:
            self.error(Problem(args.vararg, f"A tool has no *{args.vararg.arg}: take a list instead."))
        if with_parameters and args.kwarg:
            self.error(Problem(args.kwarg, f"A tool has no **{args.kwarg.arg}: take a dict instead."))
        for arg in args.posonlyargs:
            if arg.arg not in FILLED:
                self.error(Problem(arg, f"{arg.arg} cannot be given by name: take `/` out of the parameters."))

    def parameters(self, function, doc):
        args = function.args
        positional = args.posonlyargs + args.args
        defaults = [None] * (len(positional) - len(args.defaults)) + args.defaults
        properties, required = {}, []
        for arg, default in [*zip(positional, defaults), *zip(args.kwonlyargs, args.kw_defaults)]:
            if arg.arg in FILLED:
                continue
            try:
                schema, optional = self.parameter(function, arg, default, doc)
            except Problem as problem:
                self.error(problem)
                continue
            properties[arg.arg] = schema
            if not optional:
                required.append(arg.arg)
        return {"type": "object", "properties": properties, "required": required}

    def parameter(self, function, arg, default, doc):
        if arg.annotation is None:
            raise Problem(arg, f"{arg.arg} has no type: annotate it, such as `{arg.arg}: str`.")
        schema, optional = self.annotation(arg.annotation)
        described = doc.entries.get(arg.arg) or schema.get("description")
        if described:
            schema["description"] = described
        else:
            self.warn(
                arg,
                f"{arg.arg} has no description: write a line `{arg.arg}: what it is` under `Args:` in the docstring"
                f" of {function.name}.",
            )
        if default is not None:
            optional = True
            self.set_default(schema, default)
        return schema, optional or "default" in schema

    def set_default(self, schema, node):
        found, value = self.constant(node)
        if found and value is not None:
            schema["default"] = value

    def constant(self, node):
        """Whether an expression is a value that JSON knows, and the value."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            members = self.members(node.value.id)
            return (True, members[node.attr]) if node.attr in members else (False, None)
        if isinstance(node, ast.Name) and isinstance(self.aliases.get(node.id), ast.Constant):
            node = self.aliases[node.id]
        try:
            return True, plain(ast.literal_eval(node))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return False, None

    def members(self, name):
        """The members of an enum of this source; empty for what is none."""
        node = self.classes.get(name)
        if node is None or not self.is_enum(node):
            return {}
        members = {}
        for statement in node.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                if not statement.targets[0].id.startswith("_"):
                    try:
                        members[statement.targets[0].id] = plain(ast.literal_eval(statement.value))
                    except (ValueError, TypeError):
                        raise Problem(
                            statement,
                            f"The values of {name} are not all written out: give each member a str or an int.",
                        ) from None
        return members

    # --- types

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

    def alias(self, node):
        """What a name of this source stands for, for `Units = Literal["c", "f"]`; else None."""
        if not isinstance(node, ast.Name) or node.id in self.names:
            return None
        value = self.aliases.get(node.id)
        if isinstance(value, ast.Call) and self.canonical(value.func) == "typing.NewType" and len(value.args) == 2:
            return value.args[1]
        return value

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
            return self.annotation(node, depth + 1, within)[0]
        raise self.unknown(node.value, name)

    def items(self, node, depth, within):
        """The schema of a value inside of another: None is one of its values there."""
        schema, nullable = self.annotation(node, depth + 1, within)
        return {"anyOf": [schema, {"type": "null"}]} if nullable else schema

    def literal(self, node, parts):
        values = []
        for part in parts:
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

    # --- classes

    def bases(self, node):
        return [self.canonical(base) for base in node.bases]

    def ancestors(self, node, seen=()):
        """The full names of what a class comes from, through classes of this source."""
        for base in node.bases:
            name = self.canonical(base.value if isinstance(base, ast.Subscript) else base)
            yield base, name
            if name in self.classes and name not in seen:
                yield from self.ancestors(self.classes[name], (*seen, name))

    def is_enum(self, node):
        return any(name in ("enum.Enum", "enum.IntEnum", "enum.StrEnum") for _, name in self.ancestors(node))

    def class_schema(self, node, use, depth, within):
        if node.name in within:
            raise Problem(use, f"{node.name} contains itself: a schema cannot; give json_schema.")
        within = (*within, node.name)
        if self.is_enum(node):
            values = list(self.members(node.name).values())
            if not values:
                raise Problem(node, f"{node.name} has no members.")
            schema = enum_schema(values)
        elif self.has_fields(node):
            schema = self.object_schema(node, depth, within)
        else:
            raise Problem(
                use,
                f"{node.name} is a class without a schema: make it a pydantic BaseModel, a dataclass, a TypedDict or an Enum.",
            )
        return schema

    def has_fields(self, node):
        names = {name for _, name in self.ancestors(node)}
        decorators = [self.canonical(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list]
        return bool(names & {"pydantic.BaseModel", "typing.TypedDict"}) or "dataclasses.dataclass" in decorators

    def object_schema(self, node, depth, within):
        properties, required = {}, []
        for owner in reversed(self.lineage(node)):
            doc = Docstring(ast.get_docstring(owner, clean=True))
            total = not any(k.arg == "total" and getattr(k.value, "value", True) is False for k in owner.keywords)
            for statement in owner.body:
                if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                    continue
                name = statement.target.id
                if name.startswith("_") or name == "model_config" or self.is_class_variable(statement.annotation):
                    continue
                schema, optional = self.model_field(statement, doc.entries.get(name), depth, within)
                properties[name] = schema
                if name in required:
                    required.remove(name)
                if total and not optional:
                    required.append(name)
                if "description" not in schema:
                    self.warn(statement, f"{owner.name}.{name} has no description: Field(description=...) tells the model.")
        schema = {"type": "object", "properties": properties, "required": required}
        doc = Docstring(ast.get_docstring(node, clean=True))
        if doc.description:
            schema["description"] = doc.description
        return schema

    def lineage(self, node, seen=()):
        """A class and what of this source it comes from, itself first. Refuses bases that stand elsewhere."""
        found = [node]
        for base in node.bases:
            name = self.canonical(base.value if isinstance(base, ast.Subscript) else base)
            if name in self.classes and name not in seen:
                found += [c for c in self.lineage(self.classes[name], (*seen, node.name)) if c not in found]
            elif name not in ("pydantic.BaseModel", "typing.TypedDict", "typing.Generic", "abc.ABC", "object"):
                raise Problem(base, f"What {ast.unparse(base)} is stands elsewhere: declare it in this source.")
        return found

    def is_class_variable(self, annotation):
        inner = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        return self.canonical(inner) == "typing.ClassVar"

    def model_field(self, statement, described, depth, within):
        annotation = statement.annotation
        marked = self.canonical(annotation.value) if isinstance(annotation, ast.Subscript) else None
        schema, nullable = self.annotation(annotation, depth + 1, within)
        if nullable:
            plain_description = schema.pop("description", None)
            schema = {"anyOf": [schema, {"type": "null"}]}
            if plain_description:
                schema["description"] = plain_description
        optional = marked == "typing.NotRequired"
        value = statement.value
        if isinstance(value, ast.Call) and self.canonical(value.func) in ("pydantic.Field", "dataclasses.field"):
            optional = self.field(schema, value) or optional
        elif value is not None:
            optional = True
            self.set_default(schema, value)
        if described:
            schema.setdefault("description", described)
        return schema, optional or "default" in schema

    def field(self, schema, call):
        """Puts what a Field says into a schema. Answers whether it has a default."""
        optional = False
        target = schema["anyOf"][0] if "anyOf" in schema else schema
        if call.args and not (isinstance(call.args[0], ast.Constant) and call.args[0].value is Ellipsis):
            optional = True
            self.set_default(schema, call.args[0])
        for keyword in call.keywords:
            if keyword.arg == "default":
                if isinstance(keyword.value, ast.Constant) and keyword.value.value is Ellipsis:
                    continue
                optional = True
                self.set_default(schema, keyword.value)
            elif keyword.arg == "default_factory":
                optional = True
            elif keyword.arg == "description":
                found, text = self.constant(keyword.value)
                if not found or not isinstance(text, str):
                    raise Problem(keyword.value, "The description must be written out: it is read, not run.")
                schema["description"] = inspect.cleandoc(text)
            elif keyword.arg in ("alias", "validation_alias"):
                raise Problem(keyword.value, "A field of a tool's model has no alias: name the field itself so.")
            elif keyword.arg in ("min_length", "max_length"):
                kind = {"array": "Items", "object": "Properties"}.get(target.get("type"), "Length")
                self.constrain(target, keyword.arg[:3] + kind, keyword.value)
            elif keyword.arg in ("min_items", "max_items"):
                self.constrain(target, keyword.arg[:3] + "Items", keyword.value)
            elif keyword.arg in CONSTRAINTS:
                self.constrain(target, CONSTRAINTS[keyword.arg], keyword.value)
        return optional

    def constrain(self, schema, key, node):
        found, value = self.constant(node)
        if found and value is not None:
            schema[key] = value


class Docstring:
    """A Google-style docstring; entries in the style `:param name: text` are read, too."""

    def __init__(self, text):
        self.entries = {}
        text = text or ""
        sections = list(SECTIONS.finditer(text))
        ends = [match.start() for match in sections]
        first_field = ANY_FIELD.search(text)
        head = min([*ends, first_field.start() if first_field else len(text), len(text)])
        self.description = text[:head].strip()
        for match, end in zip(sections, [*ends[1:], len(text)]):
            body = text[match.end() : end]
            if match[1] in ("Args", "Arguments", "Parameters", "Params", "Attributes"):
                self.entries.update(entries_of(body))
            elif match[1] in ("Example", "Examples") and body.strip():
                self.description += f"\n\n{match[1]}:\n{body.strip(chr(10)).rstrip()}"
        for match in FIELD.finditer(text):
            rest = text[match.end() :]
            end = ANY_FIELD.search(rest)
            self.entries.setdefault(match[1], joined(rest[: end.start() if end else len(rest)].split("\n\n")[0]))


def entries_of(body):
    """`name (type): text` with lines of more indentation after it."""
    entries, indent, name = {}, None, None
    for line in body.splitlines():
        stripped = line.strip()
        if not stripped:
            continue
        depth = len(line) - len(line.lstrip())
        if indent is None:
            indent = depth
        if depth <= indent:
            match = re.match(r"\*{0,2}(\w+)\s*(?:\((?:[^()]|\([^()]*\))*\))?\s*:\s*(.*)$", stripped)
            name = match[1] if match else None
            if match:
                entries[name] = match[2]
                continue
        if name:
            entries[name] = f"{entries[name]} {stripped}".strip()
    return entries


def joined(text):
    return " ".join(text.split())


def canonical_typing(name):
    if name in ("typing.List", "typing.Dict", "typing.Tuple", "builtins.list", "builtins.dict"):
        return name.rsplit(".", 1)[1].lower()
    for module in ("typing_extensions.", "collections.abc."):
        if name.startswith(module):
            return canonical_typing("typing." + name[len(module) :])
    if name.startswith("pydantic.fields.") or name.startswith("pydantic.main."):
        return "pydantic." + name.rsplit(".", 1)[1]
    return name


def is_none(node):
    return isinstance(node, ast.Constant) and node.value is None


def plain(value):
    """A value as JSON has it. Throws ValueError for one that it does not know."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(item) for key, item in value.items()}
    raise ValueError("JSON does not know this value")


def enum_schema(values):
    kinds = sorted({JSON_TYPES[type(value)] for value in values})
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def comments(source):
    """Comments that speak to Loci."""
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                text = token.string.lstrip("#").strip()
                if text.startswith("loci:"):
                    found.append({"text": text, "line": token.start[0], "column": token.start[1] + 1})
    except (tokenize.TokenError, SyntaxError):
        # The parser says it better.
        pass
    return found


def limit():
    """A source that takes more is given up. Where there are no such limits, Loci's own of time holds."""
    try:
        import resource
    except ImportError:
        return
    for kind, amount in ((resource.RLIMIT_CPU, 15), (resource.RLIMIT_AS, 1 << 30), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(kind, (amount, amount))
        except (ValueError, OSError):
            continue


def main():
    limit()
    asked = json.loads(sys.stdin.buffer.read())
    source = asked["source_code"]
    reader = Reader(source)
    answer = {"name": None, "description": "", "parameters": None, "imports": []}
    try:
        answer.update(reader.read(asked["parameters"], asked.get("name")))
    except Problem as problem:
        reader.error(problem)
    except SyntaxError as error:
        reader.errors.append(
            {"message": f"This is no Python: {error.msg}.", "line": error.lineno or 1, "column": max(1, error.offset or 1)}
        )
    except ValueError as error:
        reader.errors.append({"message": f"This is no Python: {error}.", "line": 1, "column": 1})
    except (RecursionError, MemoryError):
        reader.errors.append(
            {
                "message": "The source is nested too deeply, or too large: take it apart into functions.",
                "line": 1,
                "column": 1,
            }
        )
    answer.update(comments=comments(source), errors=reader.errors, warnings=reader.warnings)
    sys.stdout.write(json.dumps(answer))


main()

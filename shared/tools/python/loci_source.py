"""The source of a tool as its names and places; executes none of it."""

import ast
import importlib.util
import io
import math
import site
import sys

MAX_LOOKUPS = 50

# Names that may be used without an import: an official client sends a function without its module.
KNOWN = {
    name: "typing." + name
    for name in ("Any", "Annotated", "ClassVar", "Dict", "Final", "List", "Literal", "NewType", "Optional")
    + ("Sequence", "Iterable", "Mapping", "Set", "FrozenSet", "Tuple", "TypeAlias", "TypedDict", "Union", "Callable")
}
KNOWN.update({name: "enum." + name for name in ("Enum", "IntEnum", "StrEnum", "auto")})
KNOWN.update({name: "pydantic." + name for name in ("BaseModel", "Field", "PrivateAttr")})
KNOWN.update({"dataclass": "dataclasses.dataclass", "field": "dataclasses.field"})

JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Problem(Exception):
    def __init__(self, node, message):
        super().__init__(message)
        self.node = node
        self.message = message


class Source:
    """What the names of a source stand for, and what is wrong and odd in it."""

    def __init__(self, source):
        self.source = source
        self.lines = io.StringIO(source, newline=None).readlines()
        self.errors = []
        self.warnings = []
        self.warned = set()
        self.names = {}
        self.classes = {}
        self.aliases = {}
        self.nodes = 0
        self.found = {}

    def place(self, node):
        line = getattr(node, "lineno", 1)
        offset = getattr(node, "col_offset", 0)
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return {"line": line, "column": len(text.encode()[:offset].decode(errors="ignore")) + 1}

    def error(self, problem):
        self.errors.append({"message": problem.message, **self.place(problem.node)})

    def warn(self, node, message):
        warning = {"message": message, **self.place(node)}
        key = tuple(warning.values())
        if key not in self.warned:
            self.warned.add(key)
            self.warnings.append(warning)

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

    def alias(self, node):
        """What a name of this source stands for, for `Units = Literal["c", "f"]`; else None."""
        if not isinstance(node, ast.Name) or node.id in self.names:
            return None
        value = self.aliases.get(node.id)
        if isinstance(value, ast.Call) and self.canonical(value.func) == "typing.NewType" and len(value.args) == 2:
            return value.args[1]
        return value

    def ancestors(self, node, seen=()):
        """The full names of what a class comes from, through classes of this source."""
        for base in node.bases:
            name = self.canonical(base.value if isinstance(base, ast.Subscript) else base)
            yield base, name
            if name in self.classes and name not in seen:
                yield from self.ancestors(self.classes[name], (*seen, name))

    def is_enum(self, node):
        return any(name in ("enum.Enum", "enum.IntEnum", "enum.StrEnum") for _, name in self.ancestors(node))

    def members(self, name):
        """The members of an enum of this source; empty for what is none."""
        node = self.classes.get(name)
        if node is None or not self.is_enum(node):
            return {}
        members = {}
        for statement in node.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                if not statement.targets[0].id.startswith("_"):
                    found, value = self.constant(statement.value)
                    if not found or not isinstance(value, (str, int, float)):
                        raise Problem(
                            statement,
                            f"The values of {name} are not all written out: give each member a str or an int.",
                        )
                    members[statement.targets[0].id] = value
        return members

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


def canonical_typing(name):
    if name in ("typing.List", "typing.Dict", "typing.Tuple", "builtins.list", "builtins.dict"):
        return name.rsplit(".", 1)[1].lower()
    for module in ("typing_extensions.", "collections.abc."):
        if name.startswith(module):
            return canonical_typing("typing." + name[len(module) :])
    if name.startswith("pydantic.fields.") or name.startswith("pydantic.main."):
        return "pydantic." + name.rsplit(".", 1)[1]
    return name


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


def is_none(node):
    return isinstance(node, ast.Constant) and node.value is None

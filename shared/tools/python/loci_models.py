"""The schemas of classes: pydantic models, dataclasses, TypedDict, enums."""

import ast
import inspect

from loci_docstrings import Docstring
from loci_source import Problem, Source, enum_schema

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


class Models(Source):
    """Reads classes; how the types of their fields are read, `Types` adds."""

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

    def set_default(self, schema, node):
        found, value = self.constant(node)
        if found and value is not None:
            schema["default"] = value

    def constrain(self, schema, key, node):
        found, value = self.constant(node)
        if found and value is not None:
            schema[key] = value

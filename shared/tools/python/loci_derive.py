"""Reads the source of a Python tool and says what it tells of the tool. Executes none of it.

Started by Loci as `python3 -I -S -B loci_derive.py`. Standard input: JSON {"source_code", "parameters",
"name"}; without `parameters` only what does not depend on annotations is read, and `name` is that of the function that is
the tool, where there is one: else it is the last. Standard output: JSON with `name`, `description`,
`parameters`, `comments` (those that begin with `loci:`), `imports`, `errors` and `warnings`, each with its line and column.
"""

import ast
import io
import json
import os
import sys
import tokenize

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from loci_docstrings import Docstring  # noqa: E402
from loci_source import Problem  # noqa: E402
from loci_types import Types  # noqa: E402

del sys.path[0]

# What the runner fills in.
FILLED = ("self", "agent_state", "agent_id")


class Reader(Types):
    """Reads the function that is the tool."""

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

    def calling(self, function, with_parameters):
        """What cannot be called by name; a given schema may well fill `**values`."""
        args = function.args
        if with_parameters and args.vararg:
            self.error(Problem(args.vararg, f"A tool has no *{args.vararg.arg}: take a list instead."))
        if with_parameters and args.kwarg:
            self.error(Problem(args.kwarg, f"A tool has no **{args.kwarg.arg}: take a dict instead."))
        for arg in args.posonlyargs + args.args + args.kwonlyargs:
            if arg.arg == "__proto__":
                self.error(Problem(arg, "A parameter cannot be called __proto__: name it otherwise."))
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
    # Editors of Windows begin files with a mark that Python takes away when it reads the file itself.
    source = asked["source_code"].removeprefix("\ufeff")
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

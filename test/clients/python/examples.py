"""Runs the parts of examples that come as JSON on stdin, one after another; reports each as a line of JSON.

Each example has a namespace of its own, in which stand the names that its reader is expected to have.
"""

import ast
import asyncio
import contextlib
import functools
import io
import json
import linecache
import sys

import letta_client
from letta_client import Letta


def namespace(task):
    client = Letta(base_url=task["base_url"])
    chunks = []
    return {
        "Letta": Letta,
        # Clients from 1.0 on take dictionaries where older ones have classes.
        "CreateBlock": getattr(letta_client, "CreateBlock", dict),
        "MessageCreate": getattr(letta_client, "MessageCreate", dict),
        "lru_cache": functools.lru_cache,
        "client": client,
        "agent": client.agents.create(model=task["model"], memory_blocks=[]),
        "tool": next(iter(client.tools.list(name="conversation_search"))),
        "agent_configs": [{"name": "One", "model": task["model"]}, {"name": "Two", "model": task["model"]}],
        "chunks": chunks,
        "process_chunk": chunks.append,
    }


def run(name, code, names):
    path = f"<{name}>"
    # A program has its source in a file, where the client finds that of a function.
    linecache.cache[path] = (len(code), None, code.splitlines(True), path)
    compiled = compile(code, path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)
    if asyncio.iscoroutine(result):
        asyncio.run(result)


def main():
    task = json.load(sys.stdin)
    for example in task["examples"]:
        names = namespace(task)
        for part in example["parts"]:
            printed = io.StringIO()
            error = None
            try:
                with contextlib.redirect_stdout(printed):
                    run(part["name"], part["code"], names)
            except Exception as raised:
                error = f"{type(raised).__name__}: {raised}"
            count = len(names["chunks"])
            report = {"name": part["name"], "error": error, "printed": printed.getvalue(), "chunks": count}
            print(json.dumps(report), flush=True)


main()

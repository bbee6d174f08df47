"""Runs the calls of one process: takes one from the pipe, and says what became of it."""

import ast
import asyncio
import inspect
import io
import os
import sys
import types
import typing

import loci_agent
import loci_arguments
import loci_client
import loci_guard
import loci_results
import loci_seccomp
import loci_walls as walls
from loci_frames import Channel, TooLong

# Name of the module that the code of a tool is.
MODULE = "__tool__"
# Loaded before the process of a call is made when its source names them: they take longer than all else.
HEAVY = ("pydantic", "letta_client")

GIVEN = (
    *(("enum", each) for each in ("Enum", "IntEnum", "StrEnum", "auto")),
    *(("dataclasses", each) for each in ("dataclass", "field")),
    *(("pydantic", each) for each in ("BaseModel", "Field", "PrivateAttr")),
)


def prepare():
    """What every call needs, and what many import."""
    import base64, collections, dataclasses, datetime, decimal, enum, functools, hashlib, itertools, math  # noqa: E401, F401
    import pathlib, random, statistics, string, textwrap, time, traceback, urllib.parse, uuid, zoneinfo  # noqa: E401, F401

    if walls.libc:
        # A call with namespaces of its own is the first process there.
        for network in (False, True):
            loci_seccomp.prepare(1, network)


def preload(names):
    """Imports those of HEAVY that are named and there."""
    for name in HEAVY:
        if name in names and name not in sys.modules:
            try:
                __import__(name)
            except Exception:
                # The tool will say so if it needs it.
                continue


def serve(descriptor, network):
    """Serves one call after the other until Loci ends this process. Nothing that runs here can undo these walls."""
    walls.drop_rights()
    if walls.libc:
        loci_seccomp.install(walls.libc, network)
    for name, place in (("stdout", 1), ("stderr", 2)):
        file = io.TextIOWrapper(
            open(place, "wb", buffering=8192, closefd=False),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        setattr(sys, name, file)
        setattr(sys, "__%s__" % name, file)
    channel = Channel(descriptor)
    channel.write({"type": "ready"})
    guard = loci_guard.Guard()
    home = {name: os.environ[name] for name in ("HOME", "TMPDIR", "PATH", "LANG") if name in os.environ}
    function = None
    while True:
        call = channel.read()
        if call is None:
            return
        if call["type"] != "call":
            continue
        channel.token = call["token"]
        guard.watch(call)
        result, function = run(call, channel, function, home)
        for file in (sys.stdout, sys.stderr):
            try:
                file.flush()
            except Exception:
                # The tool has closed it.
                continue
        end_output(call["token"])
        try:
            channel.write(result)
        except TooLong as error:
            channel.write(failed(loci_results.Unreturnable("its return value is too large: %s" % error)))


def end_output(token):
    """Marks the end of what this call has printed."""
    for place in (1, 2):
        rest = ("\n%s\n" % token).encode()
        try:
            while rest:
                rest = rest[os.write(place, rest) :]
        except OSError:
            # The tool has closed it, too.
            continue


def run(call, channel, function, home):
    """Makes one call. Returns its result, and the function, which a kept process calls again."""
    name, source = call["name"], call["source"].removeprefix("\ufeff")
    filename = call.get("file") or name + ".py"
    os.environ.clear()
    os.environ.update(home)
    os.environ.update(call["env"])
    try:
        if function is None:
            function = load(name, source, filename, channel)
        return answer(call, function), function
    except loci_results.Unreturnable as error:
        return failed(error), function
    except BaseException as error:
        try:
            loci_results.print_traceback(error, filename, source)
        except Exception:
            # An error that cannot even be shown, or no memory to show it; its type is told below.
            pass
        return failed(error), function


def failed(error):
    kind, text = loci_results.describe(error)
    return {"type": "result", "status": "error", "name": kind, "message": text}


def load(name, source, filename, channel):
    """Executes the module, and finds the function: the one with the tool's name, else the last."""
    tree = ast.parse(source, filename)
    names = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if not names:
        raise ValueError("the source of this tool has no function at its top level")
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    scope = module.__dict__
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    scope.update(given_names(used))
    if "client" in used:
        scope["client"] = loci_client.open_client(channel)
    exec(compile(tree, filename, "exec"), scope)
    return scope[name if name in names else names[-1]]


def given_names(used):
    """What a source may use without an import: official clients send a function without its module."""
    names = {each: getattr(typing, each) for each in typing.__all__}
    for module, each in GIVEN:
        if each in used:
            try:
                names[each] = getattr(__import__(module), each)
            except (ImportError, AttributeError):
                # Not in this Python: its use says so.
                continue
    return names


def answer(call, function):
    agent = call.get("agent")
    state = loci_agent.AgentState(agent) if agent else None
    before = {block.label: block.value for block in state.memory.blocks} if state else {}
    scope = sys.modules[MODULE].__dict__
    filled = {"agent_state": state, "agent_id": call.get("agent_id")}
    wanted = inspect.signature(function).parameters
    if "agent_state" in wanted:
        scope["agent_state"] = state
    # A tool that is tried without an agent may be given one of these as an argument.
    filled = {key: value for key, value in filled.items() if value is not None or key not in call["arguments"]}
    value = function(**loci_arguments.bind(function, scope, call["arguments"], filled))
    if inspect.isawaitable(value):
        value = asyncio.run(awaited(value))
    return {
        "type": "result",
        "status": "success",
        "value": loci_results.present(value),
        "memory_edits": loci_agent.memory_edits(state, before) if state else {},
    }


async def awaited(value):
    return await value

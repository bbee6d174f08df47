"""What a function has returned, or thrown, as the model reads it."""

import base64
import dataclasses
import datetime
import io
import json
import linecache
import sys
import traceback

# Of a return value, images included; far more than the longest text that a tool may return to an agent.
MAX_CHARS = 8 * 1024 * 1024
# Of an error, which the agent reads the beginning of.
MAX_ERROR_CHARS = 4000


class Unreturnable(TypeError):
    """A return value that nobody can be given; for its reader a TypeError."""


def present(value):
    """The text of a return value, or the parts of one with images. Raises Unreturnable."""
    try:
        text = parts_of(value)
        if text is None:
            text = text_of(value)
    except Exception as error:
        kind = type(value).__name__
        raise Unreturnable("its return value, of class %s, has no text: %s: %s" % (kind, *describe(error))) from None
    size = len(text) if isinstance(text, str) else sum(len(json.dumps(part)) for part in text)
    if size > MAX_CHARS:
        raise Unreturnable("its return value has %d characters; a tool returns %d at most" % (size, MAX_CHARS))
    return text


def text_of(value):
    """As V1: a text as it is, objects as JSON, all else as `print` shows it."""
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "model_dump_json"):
        return value.model_dump_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, (dict, list, tuple)) and not hasattr(value, "_fields"):
        try:
            return json.dumps(value, ensure_ascii=False, default=plain)
        except (TypeError, ValueError, RecursionError):
            # Keys that JSON has no name for, or something that holds itself.
            return str(value)
    return str(value)


def plain(value):
    """What JSON has no form for."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def parts_of(value):
    """The content parts of a value that is an image, or a list with one; else None."""
    items = value if isinstance(value, (list, tuple)) else [value]
    parts = [part_of(item) for item in items]
    if not parts or None in parts or not any(part["type"] == "image" for part in parts):
        return None
    return parts


def part_of(item):
    if isinstance(item, str):
        return {"type": "text", "text": item}
    if isinstance(item, dict):
        if item.get("type") == "text" and isinstance(item.get("text"), str):
            return {"type": "text", "text": item["text"]}
        if item.get("type") == "image" and isinstance(item.get("source"), dict):
            return {"type": "image", "source": item["source"]}
    # Pictures of Pillow.
    if type(item).__module__.partition(".")[0] == "PIL" and hasattr(item, "save"):
        file = io.BytesIO()
        item.save(file, format="PNG")
        data = base64.b64encode(file.getvalue()).decode()
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    return None


def describe(error):
    """The class of an error and its text, whatever that does."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be read"
    kind = "TypeError" if isinstance(error, Unreturnable) else type(error).__name__
    return kind, text if len(text) <= MAX_ERROR_CHARS else text[:MAX_ERROR_CHARS] + "…"


def print_traceback(error, filename, source):
    """Prints what Python would, with the lines of the tool and without those of anybody else."""
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    whole = traceback.TracebackException.from_exception(error)
    seen = set()
    todo = [whole]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([f for f in one.stack if f.filename == filename])
        todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
    for line in whole.format():
        sys.stderr.write(line)

"""What a function has returned, or thrown, as the model reads it."""

import base64
import dataclasses
import datetime
import io
import json
import linecache
import math
import sys
import traceback
import types

# Of a return value, images included; far more than the longest text that a tool may return to an agent.
MAX_CHARS = 8 * 1024 * 1024
# What has no text of its own, whatever it is called.
OPAQUE = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.CoroutineType,
    types.AsyncGeneratorType,
)
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
    except Unreturnable:
        raise
    except Exception as error:
        kind = type(value).__name__
        raise Unreturnable("its return value, of class %s, has no text: %s: %s" % (kind, *describe(error))) from None
    size = len(text) if isinstance(text, str) else sum(len(json.dumps(part)) for part in text)
    if size > MAX_CHARS:
        raise Unreturnable("its return value has %d characters; a tool returns %d at most" % (size, MAX_CHARS))
    return text


def text_of(value):
    """As V1: a text as it is, objects as JSON, all else as `print` shows it. Raises Unreturnable for what has no text."""
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "model_dump_json"):
        return value.model_dump_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, (dict, list, tuple)) and not hasattr(value, "_fields"):
        try:
            return json.dumps(value, ensure_ascii=False, default=plain, allow_nan=False)
        except Unreturnable:
            raise
        except RecursionError:
            raise Unreturnable("its return value is nested too deeply for JSON") from None
        except ValueError as error:
            if "Circular" in str(error):
                raise Unreturnable("its return value holds itself: a circle cannot be written as JSON") from None
            # NaN and infinity have no form in JSON; null, as JavaScript writes them.
            return json.dumps(finite(value), ensure_ascii=False, default=plain)
        except TypeError:
            # Keys that JSON has no name for.
            return str(value)
    return shown(value)


def shown(value):
    """As `print` shows it. Raises Unreturnable for what that says nothing of: functions, generators, objects without a text."""
    kind = type(value)
    nameless = kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__
    if nameless or isinstance(value, OPAQUE) or hasattr(kind, "__next__"):
        raise Unreturnable(
            "a value of class %s has no text: return text, or data that can be written as JSON" % kind.__name__
        )
    return str(value)


def finite(value):
    """Data without numbers that JSON has no form for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


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
    return shown(value)


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

"""Reads docstrings of Google's style, of NumPy's, and those of `:param name: text`."""

import re

TITLES = "Args|Arguments|Parameters|Params|Attributes|Example|Examples|Returns|Return|Yields|Raises|Exceptions|Except"
MORE_TITLES = "Other Parameters|Notes|See Also|References|Warns"
SECTIONS = re.compile(
    rf"^(?:({TITLES}):[ \t]*$|({TITLES}|{MORE_TITLES})[ \t]*\n---+[ \t]*$)",
    re.MULTILINE,
)
ENTRIES = ("Args", "Arguments", "Parameters", "Params", "Attributes", "Other Parameters")
FIELD = re.compile(r"^:(?:param|parameter|arg|argument)\s+(?:[^:\s]+\s+)?\*{0,2}(\w+)\s*:\s*", re.MULTILINE)
ANY_FIELD = re.compile(r"^:\w+[^:\n]*:", re.MULTILINE)


class Docstring:
    """What a docstring says: `description`, and `entries`, the texts of parameters by their names."""

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
            title = match[1] or match[2]
            if title in ENTRIES:
                self.entries.update(entries_of(body, GOOGLE if match[1] else NUMPY))
            elif title in ("Example", "Examples") and body.strip():
                self.description += f"\n\n{title}:\n{body.strip(chr(10)).rstrip()}"
        for match in FIELD.finditer(text):
            rest = text[match.end() :]
            end = ANY_FIELD.search(rest)
            self.entries.setdefault(match[1], joined(rest[: end.start() if end else len(rest)].split("\n\n")[0]))


# `name (type): text`
GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\((?:[^()]|\([^()]*\))*\))?\s*:\s*(.*)$")
# `name : type`
NUMPY = re.compile(r"\*{0,2}(\w+)()(?:\s*:.*)?$")


def entries_of(body, entry):
    """The text of each entry, with lines of more indentation after it."""
    entries, indent, name = {}, None, None
    for line in body.splitlines():
        stripped = line.strip()
        if not stripped:
            continue
        depth = len(line) - len(line.lstrip())
        if indent is None:
            indent = depth
        if depth <= indent:
            match = entry.match(stripped)
            name = match[1] if match else None
            if match:
                entries[name] = match[2]
                continue
        if name:
            entries[name] = f"{entries[name]} {stripped}".strip()
    return entries


def joined(text):
    return " ".join(text.split())

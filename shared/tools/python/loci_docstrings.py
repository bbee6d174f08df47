"""Reads docstrings of Google's style, and those of `:param name: text`."""

import re

SECTIONS = re.compile(
    r"^(Args|Arguments|Parameters|Params|Attributes|Example|Examples|Returns|Return|Yields|Raises|Exceptions|Except):\s*$",
    re.MULTILINE,
)
FIELD = re.compile(r"^:(?:param|parameter|arg|argument)\s+(?:[^:\s]+\s+)?\*{0,2}(\w+)\s*:\s*", re.MULTILINE)
ANY_FIELD = re.compile(r"^:\w+[^:\n]*:", re.MULTILINE)


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

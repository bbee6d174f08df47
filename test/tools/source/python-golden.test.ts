import { describeGolden, describeRefused, type Golden, type Refused } from './golden.ts'

const string = { type: 'string' }
const integer = { type: 'integer' }

/** A function with these parameters, each described by its name, under these declarations. */
function fn(parameters: string, names: string, declarations = ''): string {
  const args = names.split(' ').map((name) => `        ${name}: ${name.toUpperCase()}`)
  return `${declarations}\ndef f(${parameters}):\n    """Does it.\n\n    Args:\n${args.join('\n')}\n    """\n    return 1\n`
}
const A = { description: 'A' }
const B = { description: 'B' }
const C = { description: 'C' }
const D = { description: 'D' }

const GOLDENS: Golden[] = [
  {
    says: 'str, int, float and bool',
    source: fn('a: str, b: int, c: float, d: bool', 'a b c d'),
    properties: {
      a: { type: 'string', ...A },
      b: { type: 'integer', ...B },
      c: { type: 'number', ...C },
      d: { type: 'boolean', ...D },
    },
  },
  {
    says: 'no description where none is given',
    source: 'def f(a: str, b: int) -> str:\n    """Does it.\n\n    Args:\n        a: A\n    """\n',
    properties: { a: { ...string, ...A }, b: integer },
  },
  { says: 'no parameters', source: 'def f():\n    """Does it."""\n', properties: {} },
  {
    says: 'list in all its spellings, of str where nothing is said',
    source: fn(
      'a: list[int], b: List[str], c: list, d: typing.List[float]',
      'a b c d',
      'import typing\nfrom typing import List',
    ),
    properties: {
      a: { type: 'array', items: integer, ...A },
      b: { type: 'array', items: string, ...B },
      c: { type: 'array', items: string, ...C },
      d: { type: 'array', items: { type: 'number' }, ...D },
    },
  },
  {
    says: 'lists of lists',
    source: fn('a: list[list[int]]', 'a'),
    properties: { a: { type: 'array', items: { type: 'array', items: integer }, ...A } },
  },
  {
    says: 'dict, with types and without',
    source: fn('a: dict, b: Dict, c: dict[str, int], d: dict[str, Any]', 'a b c d'),
    properties: {
      a: { type: 'object', ...A },
      b: { type: 'object', ...B },
      c: { type: 'object', additionalProperties: integer, ...C },
      d: { type: 'object', ...D },
    },
  },
  {
    says: 'Optional without a default, which may be left out all the same',
    source: fn('a: Optional[int], b: int | None, c: Union[None, str], d: None | str = None', 'a b c d'),
    properties: {
      a: { ...integer, ...A },
      b: { ...integer, ...B },
      c: { ...string, ...C },
      d: { ...string, ...D },
    },
    required: [],
  },
  {
    says: 'Optional of a list, and a list of what is optional',
    source: fn('a: Optional[List[str]] = None, b: list[Optional[int]] = []', 'a b'),
    properties: {
      a: { type: 'array', items: string, ...A },
      b: { type: 'array', items: { anyOf: [integer, { type: 'null' }] }, ...B, default: [] },
    },
    required: [],
  },
  {
    says: 'names of typing without an import, as an official client sends a function',
    source: fn('a: List[str], b: Optional[Dict] = None, c: Literal["x"] = "x"', 'a b c'),
    properties: {
      a: { type: 'array', items: string, ...A },
      b: { type: 'object', ...B },
      c: { type: 'string', enum: ['x'], ...C, default: 'x' },
    },
    required: ['a'],
  },
  {
    says: 'names of typing under other names',
    source: fn(
      'a: L[int], b: t.Optional[str], c: te.Literal[1]',
      'a b c',
      'from typing import List as L\nimport typing as t\nimport typing_extensions as te',
    ),
    properties: {
      a: { type: 'array', items: integer, ...A },
      b: { ...string, ...B },
      c: { type: 'integer', enum: [1], ...C },
    },
    required: ['a', 'c'],
  },
  {
    says: 'Literal of texts, numbers, booleans and a mixture',
    source: fn('a: Literal["x", "y"], b: Literal[1, -2], c: Literal[True], d: Literal["x", 1]', 'a b c d'),
    properties: {
      a: { type: 'string', enum: ['x', 'y'], ...A },
      b: { type: 'integer', enum: [1, -2], ...B },
      c: { type: 'boolean', enum: [true], ...C },
      d: { type: ['integer', 'string'], enum: ['x', 1], ...D },
    },
  },
  {
    says: 'defaults of every kind',
    source: fn('a: str = "x", b: int = -3, c: list[str] = ["p"], d: dict = {"k": 1.5}', 'a b c d'),
    properties: {
      a: { ...string, ...A, default: 'x' },
      b: { ...integer, ...B, default: -3 },
      c: { type: 'array', items: string, ...C, default: ['p'] },
      d: { type: 'object', ...D, default: { k: 1.5 } },
    },
    required: [],
  },
  {
    says: 'a default that is a constant of the file, or known only when it runs',
    source: fn(
      'a: int = LIMIT, b: float = time.time(), c: float = float("inf")',
      'a b c',
      'import time\nLIMIT = 10',
    ),
    properties: {
      a: { ...integer, ...A, default: 10 },
      b: { type: 'number', ...B },
      c: { type: 'number', ...C },
    },
    required: [],
  },
  { says: 'Any', source: fn('a: Any', 'a'), properties: { a: A } },
  {
    says: 'tuples',
    source: fn('a: tuple[int, str], b: Tuple[int, int], c: tuple[str, ...]', 'a b c'),
    properties: {
      a: {
        type: 'array',
        prefixItems: [integer, string],
        items: { anyOf: [integer, string] },
        minItems: 2,
        maxItems: 2,
        ...A,
      },
      b: { type: 'array', prefixItems: [integer, integer], items: integer, minItems: 2, maxItems: 2, ...B },
      c: { type: 'array', items: string, ...C },
    },
  },
  {
    says: 'parameters by keyword only, and async',
    source: `async ${fn('a: str, *, b: int, c: int = 1', 'a b c').trimStart()}`,
    properties: { a: { ...string, ...A }, b: { ...integer, ...B }, c: { ...integer, ...C, default: 1 } },
    required: ['a', 'b'],
  },
  {
    says: 'nothing of what the runner fills in',
    source: fn('self, a: str, agent_state: "AgentState", agent_id: str', 'a'),
    properties: { a: { ...string, ...A } },
  },
  {
    says: 'the last of several functions',
    source: `def other(x):\n    pass\n\nclass K:\n    def m(self): pass\n\ndef _helper(y): pass\n${fn('a: str', 'a')}`,
    properties: { a: { ...string, ...A } },
  },
  {
    says: 'quoted types, and annotations of the future',
    source: fn(
      'a: "str", b: "list[\'int\']", c: "Optional[M]" = None',
      'a b c',
      'from __future__ import annotations\nclass M(BaseModel):\n    x: int = Field(description="X")',
    ),
    properties: {
      a: { ...string, ...A },
      b: { type: 'array', items: integer, ...B },
      c: { type: 'object', properties: { x: { ...integer, description: 'X' } }, required: ['x'], ...C },
    },
    required: ['a', 'b'],
  },
  {
    says: 'aliases of types, NewType and Annotated',
    source: fn(
      'a: Units, b: UserId, c: Annotated[int, "not this"], d: Annotated[int, Field(ge=1, le=9)]',
      'a b c d',
      'from typing import NewType, Annotated, TypeAlias\nUnits: TypeAlias = Literal["c", "f"]\nUserId = NewType("UserId", str)',
    ),
    properties: {
      a: { type: 'string', enum: ['c', 'f'], ...A },
      b: { ...string, ...B },
      c: { ...integer, ...C },
      d: { ...integer, minimum: 1, maximum: 9, ...D },
    },
  },
  {
    says: 'an alias of Optional',
    source: fn('a: Maybe', 'a', 'Maybe = Optional[str]'),
    properties: { a: { ...string, ...A } },
    required: [],
  },
  {
    says: 'descriptions in Annotated, where the docstring has none',
    source:
      'def f(a: Annotated[str, "The city"], b: Annotated[int, Field(description="How many")] = 1):\n    """Does it."""\n',
    properties: {
      a: { ...string, description: 'The city' },
      b: { ...integer, description: 'How many', default: 1 },
    },
    required: ['a'],
  },
  {
    says: 'enums of texts and numbers',
    source: fn(
      'a: Color, b: Level, c: Color = Color.RED',
      'a b c',
      'from enum import Enum, IntEnum\nclass Color(str, Enum):\n    """Colors."""\n    RED = "red"\n    BLUE = "blue"\n    def nice(self): return True\nclass Level(IntEnum):\n    LOW = 1\n    HIGH = 2',
    ),
    properties: {
      a: { type: 'string', enum: ['red', 'blue'], ...A },
      b: { type: 'integer', enum: [1, 2], ...B },
      c: { type: 'string', enum: ['red', 'blue'], ...C, default: 'red' },
    },
    required: ['a', 'b'],
  },
  {
    says: 'a pydantic model',
    source: fn(
      'a: Place',
      'a',
      'from pydantic import BaseModel, Field\nclass Place(BaseModel):\n    """A place."""\n    model_config = {}\n    KIND: ClassVar[str] = "x"\n    city: str = Field(..., description="The city", min_length=1, max_length=50, pattern="^x")\n    days: int = Field(3, ge=1, lt=10, description="Days")\n    tags: list[str] = Field(default_factory=list, description="Tags", max_length=3)\n    note: Optional[str] = Field(None, description="Note")\n    _secret: int = 1',
    ),
    properties: {
      a: {
        type: 'object',
        properties: {
          city: { ...string, description: 'The city', minLength: 1, maxLength: 50, pattern: '^x' },
          days: { ...integer, default: 3, minimum: 1, exclusiveMaximum: 10, description: 'Days' },
          tags: { type: 'array', items: string, description: 'Tags', maxItems: 3 },
          note: { anyOf: [string, { type: 'null' }], description: 'Note' },
        },
        required: ['city'],
        ...A,
      },
    },
  },
  {
    says: 'models in models, in lists and in dicts',
    source: fn(
      'a: list[Step], b: dict[str, Step], c: Optional[Plan] = None',
      'a b c',
      'import pydantic\nclass Step(pydantic.BaseModel):\n    """A step."""\n    name: str = pydantic.Field(description="Name")\nclass Plan(pydantic.BaseModel):\n    first: Step = pydantic.Field(description="The first")',
    ),
    properties: (() => {
      const properties = { name: { ...string, description: 'Name' } }
      const step = { type: 'object', properties, required: ['name'], description: 'A step.' }
      return {
        a: { type: 'array', items: step, ...A },
        b: { type: 'object', additionalProperties: step, ...B },
        c: {
          type: 'object',
          properties: { first: { ...step, description: 'The first' } },
          required: ['first'],
          ...C,
        },
      }
    })(),
    required: ['a', 'b'],
  },
  {
    says: 'models that inherit, the nearer field winning',
    source: fn(
      'a: Child',
      'a',
      'class Base(BaseModel):\n    id: str = Field(description="Id")\n    kind: str = Field(description="Kind")\nclass Child(Base):\n    kind: Literal["x"] = Field("x", description="Only x")\n    more: int = Field(description="More")',
    ),
    properties: {
      a: {
        type: 'object',
        properties: {
          id: { ...string, description: 'Id' },
          kind: { type: 'string', enum: ['x'], default: 'x', description: 'Only x' },
          more: { ...integer, description: 'More' },
        },
        required: ['id', 'more'],
        ...A,
      },
    },
  },
  {
    says: 'fields that the docstring of their model describes',
    source: fn(
      'a: M',
      'a',
      'class M(BaseModel):\n    """A model.\n\n    Attributes:\n        x (int): The x\n            of it\n    """\n    x: int',
    ),
    properties: {
      a: {
        type: 'object',
        properties: { x: { ...integer, description: 'The x of it' } },
        required: ['x'],
        ...A,
      },
    },
  },
  {
    says: 'dataclasses and TypedDict',
    source: fn(
      'a: P, b: T, c: U',
      'a b c',
      'from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass P:\n    x: int\n    y: list[int] = field(default_factory=list)\nclass T(TypedDict):\n    k: str\nclass U(TypedDict, total=False):\n    k: str',
    ),
    properties: {
      a: {
        type: 'object',
        properties: { x: integer, y: { type: 'array', items: integer } },
        required: ['x'],
        ...A,
      },
      b: { type: 'object', properties: { k: string }, required: ['k'], ...B },
      c: { type: 'object', properties: { k: string }, required: [], ...C },
    },
  },
  {
    says: 'docstring entries with types, colons, several lines and other headings',
    source:
      'def f(city: str, days: int = 3):\n    """Does it.\n\n    Arguments:\n        city (str): The city: its name,\n            not its code.\n        days (int, optional):\n            How many (at most 5).\n\n    Returns:\n        str: city: no parameter\n\n    Raises:\n        ValueError: days: not this\n    """\n',
    properties: {
      city: { ...string, description: 'The city: its name, not its code.' },
      days: { ...integer, description: 'How many (at most 5).', default: 3 },
    },
    required: ['city'],
  },
  {
    says: 'docstring entries of the other style',
    source:
      'def f(a: str, b: int):\n    """Does it.\n\n    :param a: The a\n        of it\n    :param int b: The b\n    :returns: c\n    """\n',
    properties: { a: { ...string, description: 'The a of it' }, b: { ...integer, description: 'The b' } },
  },
  {
    says: "docstring entries of NumPy's style",
    source:
      'def f(a: str, b: int):\n    """Does it.\n\n    Parameters\n    ----------\n    a : str\n        The a\n        of it\n    b\n        The b\n\n    Returns\n    -------\n    c : int\n        The c\n    """\n',
    properties: { a: { ...string, description: 'The a of it' }, b: { ...integer, description: 'The b' } },
  },
  {
    says: 'a union of one, Literal in Literal, and types of pydantic in models',
    source: fn(
      'a: Union[str], b: Literal[Literal["x", "y"], 1], c: M',
      'a b c',
      'from pydantic import EmailStr, PositiveInt\nclass M(BaseModel):\n    """M."""\n    to: EmailStr = Field(description="To")\n    n: PositiveInt = Field(description="N")',
    ),
    properties: {
      a: { ...string, ...A },
      b: { type: ['integer', 'string'], enum: ['x', 'y', 1], ...B },
      c: {
        type: 'object',
        properties: {
          to: { type: 'string', format: 'email', description: 'To' },
          n: { type: 'integer', exclusiveMinimum: 0, description: 'N' },
        },
        required: ['to', 'n'],
        ...C,
      },
    },
  },
  {
    says: 'a decorated function, tabs and Windows line ends',
    source:
      'import functools\r\n@functools.cache\r\ndef f(a: str):\r\n\t"""Does it.\r\n\r\n\tArgs:\r\n\t\ta: The a\r\n\t"""\r\n',
    properties: { a: { ...string, description: 'The a' } },
  },
  {
    says: 'letters of all scripts',
    source:
      'def f(a: Literal["größe", "大小"] = "大小"):\n    """Tut es.\n\n    Args:\n        a: Größe 大小 🎈\n    """\n',
    properties: {
      a: { type: 'string', enum: ['größe', '大小'], description: 'Größe 大小 🎈', default: '大小' },
    },
    required: [],
  },
  {
    says: 'moments and sets, which the runner makes of texts and lists',
    source: fn(
      'a: datetime, b: dt.date, c: set[int], d: Set',
      'a b c d',
      'from datetime import datetime\nimport datetime as dt',
    ),
    properties: {
      a: { type: 'string', format: 'date-time', ...A },
      b: { type: 'string', format: 'date', ...B },
      c: { type: 'array', items: integer, uniqueItems: true, ...C },
      d: { type: 'array', items: string, uniqueItems: true, ...D },
    },
  },
  {
    says: 'Sequence, Mapping and collections.abc',
    source: fn(
      'a: Sequence[int], b: Mapping[str, int], c: abc.Iterable[str]',
      'a b c',
      'from collections.abc import Mapping\nimport collections.abc as abc',
    ),
    properties: {
      a: { type: 'array', items: integer, ...A },
      b: { type: 'object', additionalProperties: integer, ...B },
      c: { type: 'array', items: string, ...C },
    },
  },
]

const REFUSED: Refused[] = [
  {
    says: 'a length of time',
    source: fn('a: timedelta', 'a', 'from datetime import timedelta'),
    line: 2,
    message: /timedelta has no JSON type: take a number of seconds as float/,
  },
  { says: 'what is no Python', source: 'def f():\n    return = 1\n', line: 2, message: /no Python/ },
  {
    says: 'wrong indentation',
    source: 'def f():\n    x = 1\n  y = 2\n',
    line: 3,
    message: /no Python.*indent/,
  },
  { says: 'an empty source', source: '', line: 1, message: /no function/ },
  {
    says: 'a class alone',
    source: 'class F:\n    def run(self): pass\n',
    line: 1,
    message: /last top-level `def`/,
  },
  {
    says: 'a parameter without a type',
    source: fn('a', 'a'),
    line: 2,
    message: /a has no type: annotate it, such as `a: str`/,
  },
  {
    says: 'a union of types',
    source: fn('a: Union[int, str]', 'a'),
    line: 2,
    message: /union of types \(Union\[int, str\]\)/,
  },
  {
    says: 'a union of types with None',
    source: fn('a: int | str | None', 'a'),
    line: 2,
    message: /union of types/,
  },
  {
    says: 'a union inside of a list',
    source: fn('a: list[int | str]', 'a'),
    line: 2,
    message: /union of types \(int \| str\)/,
  },
  { says: 'bytes', source: fn('a: bytes', 'a'), line: 2, message: /base64/ },
  {
    says: 'a type that is nowhere',
    source: fn('a: Nowhere', 'a'),
    line: 2,
    message: /Nowhere is no type that a tool can take/,
  },
  {
    says: 'a type of another module',
    source: fn('a: Thing', 'a', 'from things import Thing'),
    line: 2,
    message: /stands elsewhere \(things\.Thing\)/,
  },
  {
    says: 'a plain class',
    source: fn('a: K', 'a', 'class K: pass'),
    line: 2,
    message: /K is a class without a schema/,
  },
  {
    says: 'a model of an unknown base',
    source: fn('a: K', 'a', 'from other import Base\nclass K(BaseModel, Base):\n    x: int'),
    line: 2,
    message: /What Base is stands elsewhere/,
  },
  {
    says: 'a model that contains itself',
    source: fn('a: Tree', 'a', 'class Tree(BaseModel):\n    left: Optional["Tree"] = None'),
    line: 2,
    message: /Tree contains itself/,
  },
  {
    says: 'models that contain each other',
    source: fn('a: P', 'a', 'class P(BaseModel):\n    q: "list[Q]"\nclass Q(BaseModel):\n    p: P'),
    line: 4,
    message: /P contains itself/,
  },
  {
    says: 'an alias of itself',
    source: fn('a: X', 'a', 'X = list["X"]'),
    line: 1,
    message: /contains itself/,
  },
  {
    says: 'models that grow without end',
    source: fn(
      'a: M20',
      'a',
      Array.from(
        { length: 21 },
        (_, i) =>
          `class M${i}(BaseModel):\n    a: ${i ? `M${i - 1}` : 'str'}\n    b: ${i ? `M${i - 1}` : 'str'}`,
      ).join('\n'),
    ),
    line: 6,
    message: /too large or nested too deeply/,
  },
  {
    says: 'a generic model',
    source: fn('a: M[int]', 'a', 'class M(BaseModel, Generic[T]):\n    x: T'),
    line: 3,
    message: /M is generic/,
  },
  {
    says: 'an enum whose values are no simple ones',
    source: fn('a: E', 'a', 'class E(Enum):\n    A = (1, 2)'),
    line: 2,
    message: /The values of E are not all written out/,
  },
  {
    says: 'an enum whose values are calculated',
    source: fn('a: E', 'a', 'class E(Enum):\n    A = auto()'),
    line: 2,
    message: /The values of E are not all written out/,
  },
  {
    says: 'keys of a dict that are no str',
    source: fn('a: dict[int, str]', 'a'),
    line: 2,
    message: /must be str/,
  },
  { says: 'a tuple of nothing', source: fn('a: tuple', 'a'), line: 2, message: /such as tuple\[int, int\]/ },
  { says: 'a Literal of a name', source: fn('a: Literal[X]', 'a'), line: 2, message: /no fixed value/ },
  { says: 'None alone', source: fn('a: Optional[None]', 'a'), line: 2, message: /Nothing but None/ },
  { says: '*args', source: fn('a: str, *rest: str', 'a'), line: 2, message: /no \*rest: take a list/ },
  {
    says: 'a parameter called __proto__',
    source: fn('__proto__: str', '__proto__'),
    line: 2,
    message: /cannot be called __proto__/,
  },
  { says: '**kwargs', source: fn('a: str, **rest: str', 'a'), line: 2, message: /no \*\*rest: take a dict/ },
  {
    says: 'parameters by position only',
    source: fn('a: str, /', 'a'),
    line: 2,
    message: /cannot be given by name/,
  },
  {
    says: 'an alias of a field',
    source: fn('a: M', 'a', 'class M(BaseModel):\n    x: int = Field(alias="y")'),
    line: 2,
    message: /has no alias/,
  },
  { says: 'a relative import', source: 'from .beside import x\ndef f(): pass', line: 1, message: /one file/ },
  {
    says: 'a name that is too long',
    source: `def ${'a'.repeat(49)}(): pass`,
    line: 1,
    message: /49 characters/,
  },
  {
    says: 'a name that models cannot take',
    source: '\ndef größe(): pass',
    line: 2,
    message: /cannot be called "größe"/,
  },
  {
    says: 'a source that is nested very deeply',
    source: `def f(): return ${'['.repeat(5000)}${']'.repeat(5000)}`,
    line: 1,
    message: /nested|too many/,
  },
  {
    says: 'an unknown directive',
    source: 'def f():\n    pass  # loci: internet',
    line: 2,
    message: /no `loci: internet`/,
  },
]

describe('the schema of a Python function', function () {
  this.timeout(30_000)
  describe('has', () => describeGolden('python', GOLDENS))
  describe('is refused for', () => describeRefused('python', REFUSED))
})

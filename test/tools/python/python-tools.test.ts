import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { findPython } from '../../../shared/tools/python/interpreter.ts'
import { openWall } from '../../../shared/tools/sandbox/wall.ts'
import { type StartedPython, startPython, textOf } from './start-python.ts'

for (const isolated of [true, false])
  describe(`python tools, ${isolated ? 'forked' : 'each started'}`, function () {
    this.timeout(60_000)
    let python: StartedPython
    before(async function () {
      python = await startPython(this, { isolated })
    })
    after(() => python?.close())

    describe('what is called', () => {
      it('calls the last function at the top level', async () => {
        const source = `
def _half(n: int) -> int:
    return n // 2

def quarter(n: int) -> int:
    def inner():
        return _half(_half(n))
    return inner()
`
        assert.equal(await python.text(source, { args: { n: 20 } }), '5')
      })

      it('takes a source that an editor of Windows has marked', async () => {
        assert.equal(await python.text('\ufeffdef f():\r\n    return 1'), '1')
      })

      it('awaits async functions', async () => {
        const source = `
import asyncio
async def slow(n: int):
    await asyncio.sleep(0.01)
    return n * 2
`
        assert.equal(await python.text(source, { args: { n: 4 } }), '8')
      })

      it('does not run what stands under __main__', async () => {
        const source = `
def f():
    return __name__
if __name__ == "__main__":
    raise SystemExit(3)
`
        assert.notEqual(await python.text(source), '__main__')
      })

      it('leaves defaults alone, and says which argument is missing', async () => {
        const source = `
def f(a: int, b: str = "b"):
    return f"{a}{b}"
`
        assert.equal(await python.text(source, { args: { a: 1 } }), '1b')
        assert.match(
          await python.failure(source),
          /^Error executing function f: TypeError: f\(\) missing 1 required positional argument: 'a'$/,
        )
      })

      it('knows names that official clients do not send along', async () => {
        const source = `
class Color(Enum):
    RED = "red"
@dataclass
class Point:
    x: int
def f(c: Color, p: Point, l: Optional[List[Literal["a", "b"]]] = None) -> Dict[str, Any]:
    return {"c": c.name, "p": p, "l": l}
`
        assert.deepEqual(
          JSON.parse(await python.text(source, { args: { c: 'red', p: { x: '3' }, l: ['a'] } })),
          {
            c: 'RED',
            p: { x: 3 },
            l: ['a'],
          },
        )
      })
    })

    describe('arguments', () => {
      const typed = (annotation: string, value: unknown) =>
        python.text(
          `from __future__ import annotations\nimport typing\nfrom typing import *\ndef f(v: ${annotation}):\n    return repr(v)`,
          { args: { v: value } },
        )

      it('come in the types of the annotations', async () => {
        assert.equal(await typed('int', '5'), '5')
        assert.equal(await typed('int', 5.0), '5')
        assert.equal(await typed('float', 2), '2.0')
        assert.equal(await typed('str', 12), "'12'")
        assert.equal(await typed('str', '12'), "'12'")
        assert.equal(await typed('str', '{"a": 1}'), `'{"a": 1}'`)
        assert.equal(await typed('bool', 'false'), 'False')
        assert.equal(await typed('list[int]', '[1, "2"]'), '[1, 2]')
        assert.equal(await typed('tuple[int, str]', ['1', 2]), "(1, '2')")
        assert.equal(await typed('set', [1, 1]), '{1}')
        assert.equal(await typed('dict[str, float]', { a: '1' }), "{'a': 1.0}")
        assert.equal(await typed('Optional[int]', null), 'None')
        assert.equal(await typed('Union[str, int]', 7), '7')
        assert.equal(await typed('int | None', '7'), '7')
        assert.equal(await typed('Literal[1, 2]', '2'), '2')
        assert.equal(await typed('Any', [1, null]), '[1, None]')
        assert.equal(await typed('Nothing_that_is_there', 'x'), "'x'")
      })

      it('that do not fit are an error that names them', async () => {
        const source = 'def f(count: int, kind: Literal["a", "b"] = "a"):\n    return count'
        assert.match(
          await python.failure(source, { args: { count: 'many' } }),
          /^Error executing function f: ValueError: argument 'count' cannot be read as int: /,
        )
        assert.match(
          await python.failure(source, { args: { count: 1, kind: 'c' } }),
          /argument 'kind' cannot be read as Literal\['a', 'b'\]: 'c' is none of 'a', 'b'/,
        )
      })

      it('that the function does not have are left out', async () => {
        assert.equal(await python.text('def f(a: int):\n    return a', { args: { a: 1, invented: 2 } }), '1')
        assert.equal(await python.text('def f(**rest):\n    return rest', { args: { a: 1 } }), '{"a": 1}')
      })
    })

    describe('what it returns', () => {
      const returned = (expression: string) => python.text(`def f():\n    return ${expression}`)

      it('is text as it is, None, JSON for objects, and what Python prints for all else', async () => {
        assert.equal(await returned(`'naïve "text" 語'`), 'naïve "text" 語')
        assert.equal(await returned('None'), 'None')
        assert.equal(await returned('True'), 'True')
        assert.equal(await returned('3.50'), '3.5')
        assert.equal(await returned(`{"a": [1, None, True], "ü": "語"}`), '{"a": [1, null, true], "ü": "語"}')
        assert.equal(await returned('[1, "a"]'), '[1, "a"]')
        assert.equal(await returned('range(3)'), 'range(0, 3)')
        assert.equal(await returned('b"abc"'), "b'abc'")
      })

      it('may hold what JSON has no form for', async () => {
        assert.equal(
          await returned('{"when": __import__("datetime").date(2026, 1, 2), "set": {1}, "o": 1j}'),
          '{"when": "2026-01-02", "set": [1], "o": "1j"}',
        )
        assert.equal(await returned('{(1, 2): 3}'), '{(1, 2): 3}')
        assert.equal(
          await returned('{"a": float("nan"), "b": [float("-inf"), 1.5]}'),
          '{"a": null, "b": [null, 1.5]}',
        )
      })

      it('is refused when nothing could be read of it', async () => {
        const circle = 'def f():\n    a = {}\n    a["self"] = a\n    return a'
        assert.match(await python.failure(circle), /TypeError: its return value holds itself/)
        const deep = 'def f():\n    a = []\n    for _ in range(10**6): a = [a]\n    return a'
        assert.match(await python.failure(deep), /TypeError: its return value is nested too deeply/)
        for (const expression of [
          '(n for n in "abc")',
          'f',
          'len',
          'object()',
          '[object()]',
          '{"key": lambda: 1}',
          '__import__("os")',
          'int',
          'map(str, [1])',
        ])
          assert.match(
            await python.failure(`def f():\n    return ${expression}`),
            /TypeError: a value of class \w+ has no text: return text, or data that can be written as JSON/,
          )
      })

      it('is refused when it has no text, or too much', async () => {
        const source = `
class Odd:
    def __str__(self):
        raise RuntimeError("no text")
def f():
    return Odd()
`
        assert.equal(
          await python.failure(source),
          'Error executing function f: TypeError: its return value, of class Odd, has no text: RuntimeError: no text',
        )
        assert.match(
          await python.failure('def f():\n    return "x" * 100_000_000'),
          /TypeError: its return value has 100000000 characters; a tool returns 8388608 at most$/,
        )
        assert.match(
          await python.failure('def f():\n    return "語" * 8_000_000'),
          /TypeError: its return value/,
        )
      })

      it('may have images', async () => {
        const source = `
def f():
    return ["a picture", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]
`
        assert.deepEqual((await python.run(source)).func_response, [
          { type: 'text', text: 'a picture' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        ])
      })
    })

    describe('output', () => {
      it('comes as lines, what C code prints included', async () => {
        const source = `
import os, sys
def f():
    print("one\\ntwo")
    print("half", end="")
    print("bad", file=sys.stderr)
    sys.stdout.flush()
    os.write(1, b"raw")
    return "done"
`
        const { stdout, stderr } = await python.run(source)
        assert.deepEqual({ stdout, stderr }, { stdout: ['one', 'two', 'halfraw'], stderr: ['bad'] })
      })

      it('is kept when the tool fails, with a traceback of its own lines', async () => {
        const source = `import json

def inner(text):
    return json.loads(text)

def f():
    print("before")
    try:
        inner("{")
    except ValueError as error:
        raise RuntimeError("could not read") from error
`
        const result = await python.run(source)
        assert.equal(result.func_response, 'Error executing function f: RuntimeError: could not read')
        assert.deepEqual(result.stdout, ['before'])
        const trace = result.stderr.join('\n')
        assert.match(trace, /File "f\.py", line 4, in inner\n {4}return json\.loads\(text\)/)
        assert.match(trace, /File "f\.py", line 11, in f/)
        assert.match(trace, /The above exception was the direct cause/)
        assert.doesNotMatch(trace, /\/|loci_/)
      })

      it('says where the syntax is wrong', async () => {
        const result = await python.run('def f():\n    return (1\n')
        assert.match(
          textOf(result),
          /^Error executing function f: SyntaxError: '\(' was never closed \(f\.py, line 2\)$/,
        )
        assert.match(result.stderr.join('\n'), /File "f\.py", line 2/)
      })

      it('is there up to the moment at which the time is over', async () => {
        const source = 'import time\ndef f():\n    print("begun")\n    time.sleep(60)'
        const result = await python.run(source, { permissions: { timeout_ms: 700 } })
        assert.equal(
          result.func_response,
          'Error executing function f: it took longer than 0.7 s, the limit of its time',
        )
        assert.deepEqual(result.stdout, ['begun'])
      })

      it('survives a tool that closes it, exits, or raises what is no error', async () => {
        assert.equal(
          await python.text('import sys\ndef f():\n    sys.stdout.close()\n    return "closed"'),
          'closed',
        )
        assert.equal(
          await python.failure('import sys\ndef f():\n    sys.exit("bye")'),
          'Error executing function f: SystemExit: bye',
        )
        assert.equal(
          await python.failure('def f():\n    raise KeyboardInterrupt'),
          'Error executing function f: KeyboardInterrupt',
        )
        assert.match(
          await python.failure('import os\ndef f():\n    os._exit(3)'),
          /its process ended before it returned \(exit code 3\)/,
        )
      })
    })

    describe('its surroundings', () => {
      it('are its own environment and an empty folder', async () => {
        const source = `
import os
def f():
    open("note.txt", "w").write("x")
    return {"env": sorted(os.environ), "secret": os.getenv("API_KEY"), "files": [n for n in os.listdir(".") if os.path.isfile(n)], "home": os.path.expanduser("~") == os.getcwd()}
`
        const options = { env: { API_KEY: 'sesame', LETTA_AGENT_ID: 'agent-1' } }
        for (let i = 0; i < 3; i++)
          assert.deepEqual(JSON.parse(await python.text(source, options)), {
            env: ['API_KEY', 'HOME', 'LANG', 'LETTA_AGENT_ID', 'PATH', 'TMPDIR'],
            secret: 'sesame',
            files: ['note.txt'],
            home: true,
          })
      })

      it('remember nothing from call to call', async () => {
        const source = `
import builtins, json
count = 0
def f():
    global count
    count += 1
    builtins.count = getattr(builtins, "count", 0) + 1
    json.count = getattr(json, "count", 0) + 1
    return [count, builtins.count, json.count]
`
        for (let i = 0; i < 3; i++) assert.equal(await python.text(source), '[1, 1, 1]')
      })

      it('are kept for a tool that asks for it, for each agent apart, until a call fails to end', async () => {
        const source = `
count = 0
def f(wait: int = 0):
    global count
    count += 1
    import time
    print("call", count)
    time.sleep(wait)
    return count
`
        const keep = { permissions: { keep_state: true } }
        const first = await python.run(source, keep)
        assert.deepEqual([first.func_response, first.stdout], ['1', ['call 1']])
        const second = await python.run(source, keep)
        assert.deepEqual([second.func_response, second.stdout], ['2', ['call 2']])
        assert.equal(await python.text(`${source}\n`, keep), '1')
        const slow = { args: { wait: 60 }, permissions: { keep_state: true, timeout_ms: 20_000 } }
        const abort = AbortSignal.timeout(300)
        await assert.rejects(python.run(source, { ...slow, signal: abort }), { name: 'TimeoutError' })
        assert.equal(await python.text(source, keep), '1')
      })

      it('let many calls run side by side', async () => {
        const source = 'import time\ndef f(n: int):\n    time.sleep(0.2)\n    return n'
        const numbers = Array.from({ length: 24 }, (_, n) => n)
        const answers = await Promise.all(numbers.map((n) => python.text(source, { args: { n } })))
        assert.deepEqual(answers, numbers.map(String))
      })
    })

    it('ends with an abort, and leaves nothing running', async () => {
      const controller = new AbortController()
      const running = python.run('import time\ndef f():\n    time.sleep(60)', { signal: controller.signal })
      setTimeout(() => controller.abort(new Error('enough')), 200)
      await assert.rejects(running, { message: 'enough' })
      assert.equal(await python.text('def f():\n    return "still here"'), 'still here')
    })

    it('goes on after the process that forks calls has died', async function () {
      const started: ChildProcess[] = []
      const wall = await openWall()
      const mine = await startPython(this, {
        isolated,
        wall: {
          ...wall,
          launch(command) {
            const child = wall.launch(command)
            started.push(child)
            return child
          },
        },
      })
      try {
        const source = 'import time\ndef f(n: int):\n    print("begun")\n    time.sleep(n)\n    return n'
        const running = mine.run(source, { args: { n: 30 } })
        assert.equal(await mine.text(source, { args: { n: 0 } }), '0')
        for (const child of started) wall.killAll(child)
        assert.match(
          textOf(await running),
          /^Error executing function f: (the process that it was forked from|its process) ended/,
        )
        assert.equal(await mine.text(source, { args: { n: 0 } }), '0')
      } finally {
        await mine.close()
      }
    })

    it('says what to install where there is no Python', async function () {
      const mine = await startPython(this, { requirements: () => findPython({ PATH: '/nowhere' }) })
      try {
        assert.match(
          await mine.failure('def f():\n    return 1'),
          /^Error executing function f: Python tools need Python: there is no python3; there is no python\. Install Python 3\.9 or later/,
        )
      } finally {
        await mine.close()
      }
    })
  })

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toolName } from '../../../shared/schema/custom-tool.ts'
import { isAppError } from '../../../shared/schema/errors.ts'
import { wrongName } from '../../../shared/tools/source/names.ts'
import { createToolSources } from '../../../shared/tools/source/sources.ts'

const sources = createToolSources()
const typescript = (source_code: string) => ({ source_type: 'typescript' as const, source_code })
const python = (source_code: string) => ({ source_type: 'python' as const, source_code })

describe('the sources of tools', function () {
  this.timeout(30_000)

  describe('what comes with a tool besides its source', () => {
    const json_schema = {
      name: 'given',
      description: 'Given.',
      parameters: { type: 'object' as const, properties: { x: { type: 'string' } }, required: ['x'] },
    }

    it('json_schema wins, and the source needs no annotations', async () => {
      for (const source of [
        typescript('export function given(x) { return x }'),
        python('def given(x, **more): return x'),
      ]) {
        const tool = await sources.derive(source, { json_schema })
        assert.deepEqual(tool.json_schema, json_schema)
        assert.deepEqual([tool.name, tool.description, tool.warnings], ['given', 'Given.', []])
      }
    })

    it('a mark of Windows at the head of the source is none of its text', async () => {
      for (const source of [
        typescript('\ufeff/** F. */\r\nexport function given() {}'),
        python('\ufeff# loci: timeout 7s\r\ndef given():\r\n    """F."""'),
      ]) {
        const tool = await sources.derive(source)
        assert.deepEqual([tool.name, tool.description], ['given', 'F.'])
        if (source.source_type === 'python') assert.equal(tool.permissions.timeout_ms, 7000)
      }
    })

    it('json_schema tells which of several functions is meant', async () => {
      const tool = await sources.derive(typescript('function given(x) {}\nfunction other() {}'), {
        json_schema,
      })
      assert.equal(tool.name, 'given')
      assert.match(tool.warnings.join(), /Line 1: given is not exported: write `export` before it/)
    })

    it('json_schema gives a name to a function that has none', async () => {
      const tool = await sources.derive(typescript('export default (x) => x'), { json_schema })
      assert.equal(tool.name, 'given')
    })

    it('a schema without a description takes that of the source', async () => {
      const tool = await sources.derive(typescript('/** From here. */\nexport function given(x) {}'), {
        json_schema: { ...json_schema, description: '' },
      })
      assert.equal(tool.json_schema.description, 'From here.')
    })

    it('says how a context is filled that is the first parameter', async () => {
      const untyped = await sources.derive(typescript('/** F. */\nexport function f(context: any) {}'))
      assert.match(untyped.warnings.join(), /Line 2: context is an argument for the model here/)
      const head = "import type { ToolContext } from 'loci/tool'\n/** F. */\n"
      const typed = await sources.derive(typescript(`${head}export function f(context: ToolContext) {}`))
      assert.deepEqual([typed.json_schema.parameters.properties, typed.warnings], [{}, []])
      await assert.rejects(
        sources.derive(typescript(`${head}export function f(given: ToolContext) {}`)),
        /ToolContext has no JSON type: name the second parameter `context`/,
      )
    })

    it('a name in json_schema that models cannot take is refused', async () => {
      for (const name of ['not a name', 'x'.repeat(49), ''])
        for (const source of [typescript('export function f() {}'), python('def f(): pass')])
          await assert.rejects(
            sources.derive(source, { json_schema: { ...json_schema, name } }),
            (error) => isAppError(error, 'invalid_argument'),
            name,
          )
    })

    it('names are those that a request may give', () => {
      for (const name of [
        'f',
        '_f',
        'a-b',
        'f2',
        'x'.repeat(48),
        '2f',
        '-f',
        'a b',
        'ü',
        '',
        'x'.repeat(49),
        'f\n',
      ])
        assert.equal(wrongName(name) === undefined, toolName.safeParse(name).success, name)
    })

    it('the function with the name of json_schema is the tool, and otherwise the last one', async () => {
      const named = await sources.derive(python('def given(x): pass\ndef after(): pass'), { json_schema })
      assert.deepEqual(named.warnings, [])
      const last = await sources.derive(python('def other(x): pass'), { json_schema })
      assert.match(last.warnings.join(), /Line 1: The source has no function given.*other, is called/)
    })

    it('args_json_schema takes the place of the parameters', async () => {
      const args_json_schema = {
        title: 'Args',
        type: 'object',
        description: 'What it does.',
        properties: { at: { $ref: '#/$defs/At' } },
        required: ['at'],
        $defs: { At: { type: 'object', properties: { x: { type: 'number' } } } },
      }
      for (const source of [typescript('export function f(at) {}'), python('def f(at): pass')]) {
        const { json_schema } = await sources.derive(source, { args_json_schema })
        const { properties, required, $defs } = args_json_schema
        assert.deepEqual(json_schema, {
          name: 'f',
          description: 'What it does.',
          parameters: { type: 'object', properties, required, $defs },
        })
      }
    })
  })

  describe('descriptions', () => {
    it('are the comment before a TypeScript function, with its examples', async () => {
      const { description } = await sources.derive(
        typescript(
          "/**\n * Tells the {@link Weather} of a city.\n *\n * Not of the sea.\n * @param a x\n * @returns text\n * @example\n * f('Oslo')\n */\nexport const f = (a: string) => a",
        ),
      )
      assert.equal(description, "Tells the Weather of a city.\n\nNot of the sea.\n\nExample:\nf('Oslo')")
    })

    it('are the docstring of a Python function up to its sections, with its examples', async () => {
      const { description } = await sources.derive(
        python(
          'def f(a: str):\n    """Tells the weather.\n\n    Not of the sea.\n\n    Args:\n        a: x\n\n    Returns:\n        text\n\n    Examples:\n        f("Oslo")\n    """',
        ),
      )
      assert.equal(description, 'Tells the weather.\n\nNot of the sea.\n\nExamples:\n    f("Oslo")')
    })
  })

  describe('permissions', () => {
    const asked = {
      network: true,
      read: ['~/notes', '/srv/my data'],
      write: ['~/notes/out'],
      timeout_ms: 30_000,
      memory_mb: 2048,
      keep_state: true,
    }
    const lines = [
      'loci: network',
      'loci: read ~/notes',
      'loci: read /srv/my data',
      'loci: read ~/notes',
      'loci: write ~/notes/out',
      'loci:timeout 30s',
      'loci: memory 2gb',
      'loci: keep-state',
    ]

    it('are what the comments of a TypeScript source ask for', async () => {
      const tool = await sources.derive(
        typescript(
          `${lines.map((line) => `// ${line}`).join('\n')}\n/*\n * loci: npm lodash@4.17.21\n */\nconst text = "// loci: npm evil"\n/** F. */\nexport function f() {} // loci: npm @scope/name@^1.2\n// not loci: at all`,
        ),
      )
      assert.deepEqual(tool.permissions, asked)
      assert.deepEqual(tool.npm_requirements, [
        { name: 'lodash', version: '4.17.21' },
        { name: '@scope/name', version: '^1.2' },
      ])
      assert.deepEqual(tool.pip_requirements, [])
    })

    it('are what the comments of a Python source ask for, not its texts', async () => {
      const tool = await sources.derive(
        python(
          `${lines.map((line) => `# ${line}`).join('\n')}\ndef f():\n    """F.\n\n    # loci: pip evil\n    """\n    return "# loci: pip evil"  # loci: pip requests[socks]==2.32.3\n# loci: pip pyyaml\n# loci: pip rich >= 13, <15`,
        ),
      )
      assert.deepEqual(tool.permissions, asked)
      assert.deepEqual(tool.pip_requirements, [
        { name: 'requests[socks]', version: '2.32.3' },
        { name: 'pyyaml', version: null },
        { name: 'rich', version: '>= 13, <15' },
      ])
    })

    it('are none without comments', async () => {
      const { permissions } = await sources.derive(typescript('/** F. */\nexport function f() {}'))
      assert.deepEqual(permissions, {
        network: false,
        read: [],
        write: [],
        timeout_ms: null,
        memory_mb: null,
        keep_state: false,
      })
    })

    for (const [line, message] of [
      ['network please', /Nothing stands behind/],
      ['read', /Name a file or a folder/],
      ['read ./here', /from the root or from the home directory/],
      ['write ~/../other', /without `\.\.`/],
      ['timeout soon', /from 1ms to 1h/],
      ['timeout 2h', /from 1ms to 1h/],
      ['memory 1', /from 64 to 65536/],
      ['pip requests', /write `loci: npm`/],
      ['npm Not A Package', /takes one package/],
      ['npm lodash --registry=x', /takes one package/],
      ['npm lodash@4 --registry=x', /takes one package/],
      ['npm lodash@https://x.y/z.tgz', /takes one package/],
      ['npm ../beside', /takes one package/],
      ['', /Nothing stands behind `loci:`/],
      ['x'.repeat(2000), /at most 1000 characters/],
    ] as const)
      it(`are refused as \`${line.slice(0, 30)}\`, with the line`, async () => {
        await assert.rejects(
          sources.derive(typescript(`/** F. */\nexport function f() {}\n// loci: ${line}`)),
          (error) =>
            isAppError(error, 'invalid_argument') && error.data['line'] === 3 && message.test(error.message),
        )
      })
  })

  describe('a check', () => {
    it('tells all that is wrong and odd, in the order of the lines', async () => {
      const { tool, problems } = await sources.check(
        typescript(
          "import { exec } from 'node:child_process'\nimport lodash from 'lodash'\n/** F.\n * @param z Nothing */\nexport function f(a, b: Date, c: string) {\n  fetch(exec + lodash)\n}",
        ),
      )
      assert.equal(tool, null)
      assert.deepEqual(
        problems.map(({ severity, line, message }) => `${severity} ${line} ${message.split(' ')[0]}`),
        [
          'warning 1 node:child_process',
          'warning 2 lodash',
          'warning 4 @param',
          'error 5 a',
          'error 5 Date',
          'warning 5 c',
          'warning 6 fetch',
        ],
      )
    })

    it('answers with the tool when there are warnings only', async () => {
      const { tool, problems } = await sources.check(
        python(
          'import subprocess\nimport os\nimport urllib.request, not_there.x\ndef f():\n    os.system("x")',
        ),
      )
      assert.equal(tool?.name, 'f')
      assert.deepEqual(
        problems.map(({ severity, line, message }) => `${severity} ${line} ${message}`),
        [
          'warning 1 subprocess starts processes, which a tool may not: the call will fail.',
          'warning 3 urllib.request needs the network, which this tool has not: write `# loci: network`.',
          'warning 3 not_there does not come with the language: write `# loci: pip not_there`, or list it in pip_requirements.',
          'warning 4 f has no description: begin its docstring with what it does.',
          'warning 5 os.system starts processes, which a tool may not: the call will fail.',
        ],
      )
    })

    it('warns of a parameter without a description, which is no reason to refuse a tool', async () => {
      const { tool, problems } = await sources.check(
        python('def f(\n    a: str,\n) -> str:\n    """Does it."""\n    return a'),
      )
      assert.deepEqual(tool?.json_schema.parameters.properties, { a: { type: 'string' } })
      assert.deepEqual(
        problems.map(({ severity, line, message }) => `${severity} ${line} ${message}`),
        ['warning 2 a has no description: write a line `a: what it is` under `Args:` in the docstring of f.'],
      )
    })

    it('says nothing of packages that are asked for', async () => {
      const inSource = await sources.check(
        python('# loci: pip PyYAML\nimport yaml, json, not_there\ndef f():\n    """F."""'),
      )
      assert.deepEqual(inSource.problems, [])
      const beside = await sources.check(
        typescript(
          "import { map } from 'lodash/fp'\nimport * as z from 'zod'\n/** F. */\nexport const f = () => map(z)",
        ),
        { npm_requirements: [{ name: 'lodash' }] },
      )
      assert.deepEqual(beside.problems, [])
    })

    it('never runs what it reads', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'loci-source-'))
      try {
        const file = join(folder, 'ran')
        const text = JSON.stringify(file)
        await sources.check(
          python(
            `open(${text}, "w")\nclass M(BaseModel):\n    x: int = Field(open(${text}, "w"), description="X")\ndef f(a: M = open(${text}, "w")):\n    """F."""`,
          ),
        )
        await sources.check(
          typescript(
            `import { writeFileSync } from 'node:fs'\nwriteFileSync(${text}, '')\nexport function f(a: string = writeFileSync(${text}, '')) {}`,
          ),
        )
        await assert.rejects(chmod(file, 0o600), { code: 'ENOENT' })
      } finally {
        await rm(folder, { recursive: true })
      }
    })
  })

  describe('a large or hostile source', () => {
    it('of a megabyte is refused at once, by its length', async () => {
      for (const source of [typescript, python])
        await assert.rejects(
          sources.derive(source(`// ${'x'.repeat(1_000_000)}`)),
          /has 1,000,003 characters, and 524,288 is the most/,
        )
    })

    it('is read beside everything else', async () => {
      const functions = Array.from(
        { length: 5000 },
        (_, i) => `function f${i}(a: { x: string }[]) { return a.map(({ x }) => x + ${i}) }`,
      )
      let others = 0
      const timer = setInterval(() => others++, 1)
      const reading = sources.derive(typescript(`${functions.join('\n')}\n/** F. */\nexport function f() {}`))
      const { name } = await reading.finally(() => clearInterval(timer))
      assert.equal(name, 'f')
      assert.ok(others > 5, `${others} timers`)
    })

    for (const [what, source] of [
      ['parentheses without end', typescript(`export const f = () => ${'('.repeat(200_000)}`)],
      ['types in types', typescript(`export function f(a: ${'{a:'.repeat(50_000)}string`)],
      [
        'a union of very many',
        typescript(
          `export function f(a: ${Array.from({ length: 20_000 }, (_, i) => `'${i}'`).join('|')}) {}`,
        ),
      ],
      ['a sum without end', python(`def f(): return ${'1+'.repeat(100_000)}1`)],
      ['a union without end', python(`def f(a: ${'int|'.repeat(20_000)}str): pass`)],
      [
        'a docstring of brackets',
        python(`def f(a):\n  """F.\n\n  Args:\n    a ${'('.repeat(50_000)}\n  """`),
      ],
      ['a byte of nothing', python('def f():\0 pass')],
      ['half a letter', python('def f(): return "\ud800"')],
    ] as const)
      it(`ends in an error: ${what}`, async () => {
        await assert.rejects(sources.derive(source), (error) => {
          assert.ok(isAppError(error, 'invalid_argument'), String(error))
          assert.equal(typeof error.data['line'], 'number')
          return true
        })
      })

    it('does not keep the next one from being read', async () => {
      const all = await Promise.allSettled(
        ['(', '/** F. */\nexport function f() {}', '}{', '/** G. */\nexport function g() {}'].map((source) =>
          sources.derive(typescript(source)),
        ),
      )
      assert.deepEqual(
        all.map(({ status }) => status),
        ['rejected', 'fulfilled', 'rejected', 'fulfilled'],
      )
    })
  })

  describe('without a Python', () => {
    const missing = createToolSources({ env: { PATH: '/nowhere' } })

    it('says what to install', async () => {
      await assert.rejects(missing.derive(python('def f(): pass')), (error) => {
        assert.ok(isAppError(error, 'invalid_argument'))
        assert.match(
          error.message,
          /there is no python3; there is no python\. Install Python 3\.9 or later.*LOCI_PYTHON/,
        )
        return true
      })
    })

    it('says which one LOCI_PYTHON names', async () => {
      const wrong = createToolSources({ env: { ...process.env, LOCI_PYTHON: '/nowhere/python' } })
      await assert.rejects(wrong.derive(python('def f(): pass')), /there is no \/nowhere\/python/)
    })

    it('still takes a tool whose schema is given, and what its comments ask for', async () => {
      const tool = await missing.derive(python('# loci: network\ndef f(x): pass'), {
        json_schema: {
          name: 'f',
          description: 'F.',
          parameters: { type: 'object', properties: {}, required: [] },
        },
      })
      assert.equal(tool.permissions.network, true)
      assert.match(tool.warnings.join(), /The source was not read/)
    })

    it('refuses one that is too old', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'loci-python-'))
      try {
        const file = join(folder, 'python')
        await writeFile(file, '#!/bin/sh\necho /usr/bin/python2\necho 2.7.18\n')
        await chmod(file, 0o755)
        const old = createToolSources({ env: { LOCI_PYTHON: file, PATH: process.env['PATH'] } })
        await assert.rejects(old.derive(python('def f(): pass')), /is Python 2\.7\.18\. Install Python 3\.9/)
      } finally {
        await rm(folder, { recursive: true })
      }
    })
  })
})

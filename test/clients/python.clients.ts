/** The official Python client, an old one and the newest, against Loci: the examples of V1's reference, and daily work. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanEnvironment, start, temporaryFolder } from '../support/cli-process.ts'
import { aPdf } from '../support/documents.ts'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { docsSnippets } from './tutorial.ts'
import { PYTHON_CLIENTS, type PythonClient, pythonWith } from './python-client.ts'

/** V1's API reference, as its readers have it; it lies beside the repository. */
const REFERENCE = join(import.meta.dirname, '..', '..', '..', 'shared', 'seeds', 'api-reference.txt')

const NOT_OFFERED = 'not offered'

/**
 * Parts of examples that are left out, or that this version of the client does not offer, by heading and number: those
 * fail in Python before anything is asked.
 */
const LEFT_OUT: Record<PythonClient, Record<string, string>> = {
  '1.12.1': {
    'Installation and Setup 2': NOT_OFFERED, // no CreateBlock: dictionaries
    'Tool Management 2': NOT_OFFERED, // no upsert_from_function
    'File and Knowledge Management 1': NOT_OFFERED, // no upload_file
    'File and Knowledge Management 2': NOT_OFFERED,
    'Standard Response Structure 1': NOT_OFFERED,
    'Standard Response Structure 2': NOT_OFFERED,
    'Error Handling 1': NOT_OFFERED, // no core.api_error: APIStatusError
    'Error Handling 2': NOT_OFFERED,
    'Callback Styles 2': NOT_OFFERED, // no create_stream: stream
    'Callback Styles 3': NOT_OFFERED, // no acreate: AsyncLetta
    'API Token Authentication 1': NOT_OFFERED, // no token: api_key
    'Usage Monitoring 1': NOT_OFFERED, // no get_health: health
    'Client Versioning 1': NOT_OFFERED, // the retired package
    'Client Versioning 2': NOT_OFFERED,
  },
  '0.1.324': {
    'File and Knowledge Management 1': NOT_OFFERED,
    'File and Knowledge Management 2': NOT_OFFERED,
    'Standard Response Structure 2': NOT_OFFERED, // a picture of a shape, no program
    'Callback Styles 3': NOT_OFFERED,
    'Usage Monitoring 1': NOT_OFFERED,
    'Client Versioning 1': NOT_OFFERED,
    'Client Versioning 2': NOT_OFFERED,
  },
}

interface Part {
  name: string
  code: string
}

interface Report {
  name: string
  error: string | null
  printed: string
  chunks: number
}

/** The Python examples of a Markdown text under their headings, in parts as blank lines divide them. */
function examplesOf(markdown: string): { heading: string; parts: string[] }[] {
  let heading = ''
  const examples = []
  for (const [, title, code] of markdown.matchAll(/^#+ ([^\n]+)|^```python\n(.*?)^```/gms)) {
    if (title !== undefined) heading = title.trim()
    else if (code !== undefined) examples.push({ heading, parts: code.split(/\n\s*\n/) })
  }
  return examples
}

/** An example with this server and model, and with arguments where it only hints at them. */
function runnable(code: string, heading: string, url: string): string {
  const agent = heading === 'Error Handling' ? `'agent-${crypto.randomUUID()}'` : 'agent.id'
  const call = `(agent_id=${agent}, messages=[MessageCreate(role='user', content='Hello!')])`
  return code
    .replaceAll(/^pip install .*$/gm, '')
    .replaceAll('http://localhost:8283', url)
    .replaceAll('openai/gpt-4o-mini', SCRIPTED)
    .replaceAll('.create(...)', `.create${call}`)
    .replaceAll('.create_stream(...)', `.create_stream${call}`)
    .replaceAll('.acreate(...)', `.acreate${call}`)
    .replaceAll('{e.message}', '{e.body}')
}

for (const version of PYTHON_CLIENTS)
  describe(`letta-client ${version} of Python`, () => {
    let model: ScriptedModel
    let t: TestLoci
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    let python: string
    before(async function () {
      this.timeout(300_000)
      python = pythonWith(version)
      folder = await temporaryFolder()
      model = await startScriptedModel([], { loop: () => ({ text: 'Hello.' }) })
      t = await startLoci({ model_url: model.url })
    })
    after(async () => {
      await t?.close()
      await model?.close()
      await folder?.remove()
    })

    /** Runs a program of the folder python/ to its end; answers what it printed. */
    async function run(name: string, args: string[], input = ''): Promise<string> {
      const path = join(import.meta.dirname, 'python', name)
      const program = start(python, ['-B', path, ...args], cleanEnvironment(folder.path))
      program.child.stdin?.end(input)
      const { code } = await program.exited
      assert.equal(code, 0, `${program.stderr}\n${program.stdout}`)
      return program.stdout
    }

    it('runs the examples of the API reference that it offers', async function () {
      this.timeout(180_000)
      assert.ok(existsSync(REFERENCE), `${REFERENCE} is not there: there are no examples to run`)
      const left = LEFT_OUT[version]
      const examples = examplesOf(readFileSync(REFERENCE, 'utf8')).map(({ heading, parts }) => ({
        parts: parts.map((code, i): Part => ({
          name: `${heading} ${i + 1}`,
          code: runnable(code, heading, t.url),
        })),
      }))
      const task = { base_url: t.url, model: SCRIPTED, examples }
      const reports = (await run('examples.py', [], JSON.stringify(task)))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Report)
      const failed = reports.filter(({ error }) => error !== null)
      for (const { name, error } of failed) {
        assert.equal(left[name], NOT_OFFERED, `${name}: ${error}`)
        assert.match(
          error ?? '',
          /^(AttributeError|ImportError|ModuleNotFoundError|NameError|TypeError): /,
          name,
        )
      }
      const ran = reports.filter(({ error }) => error === null)
      assert.deepEqual(
        ran.filter(({ name }) => left[name] !== undefined).map(({ name }) => name),
        [],
        'is offered after all',
      )
      const sum = ran.length + Object.keys(left).length
      assert.equal(sum, examples.flatMap(({ parts }) => parts).length, 'every part is run or listed')
      const printed = (name: string) => reports.find((report) => report.name === name)
      assert.equal(printed('Create and Message Agent 3')?.printed, 'Hello.\n')
      assert.match(printed('Usage Monitoring 2')?.printed ?? '', /^Tokens used: [1-9]/)
      if (version === '0.1.324') {
        assert.ok((printed('Callback Styles 2')?.chunks ?? 0) > 2, 'chunks of the stream')
        assert.match(printed('Error Handling 2')?.printed ?? '', /^Error 404: .*Agent not found/)
        const [made] = (await t.letta.tools.list({ name: 'get_weather' })).items
        assert.equal(made?.description, 'Get weather for a location.')
        const users = (await t.letta.agents.list({ include: ['agent.tools'] })).items
        assert.ok(
          users.some(({ tools }) => tools.some(({ id }) => id === made.id)),
          'it is attached',
        )
      }
      assert.deepEqual(t.failures, [])
      console.log(`      parts of examples run: ${ran.map(({ name }) => name).join(', ')}`)
      console.log(
        `      left out: ${Object.entries(left)
          .map((entry) => entry.join(': '))
          .join('; ')}`,
      )
    })

    if (version === '1.12.1')
      it('runs what the documentation says in the place of what it does not offer', async function () {
        this.timeout(180_000)
        const [example, ...more] = docsSnippets('compatibility.md').filter(
          ({ language }) => language === 'python',
        )
        assert.ok(example && more.length === 0, 'docs/compatibility.md has one example in Python')
        const code = example.code
          .replaceAll('http://localhost:8283', t.url)
          .replaceAll('openai/gpt-4o-mini', SCRIPTED)
        // A document, and the program in a file, where Python finds the source of its function.
        await writeFile(join(folder.path, 'document.pdf'), aPdf('A parrot called Iago.'))
        await writeFile(join(folder.path, 'example.py'), code)
        const env = cleanEnvironment(folder.path)
        const program = start(python, ['-B', 'example.py'], env, { cwd: folder.path })
        const { code: exit } = await program.exited
        assert.equal(exit, 0, program.stderr)
        const [answer, error, ...lines] = program.stdout.trim().split('\n')
        assert.match(answer ?? '', /^Hello\. \d+ \S+/)
        assert.match(error ?? '', /^Error 404: .*not found/i)
        assert.ok(lines.includes('assistant_message'))
        assert.match(lines.at(-2) ?? '', /^Status: ok, agents: \d+$/)
        assert.match(lines.at(-1) ?? '', /^Client 1\.12\.1, server \d/)
        assert.deepEqual(t.failures, [])
      })

    it('does its daily work', async function () {
      this.timeout(180_000)
      const shown = (await run('daily.py', [t.url, SCRIPTED])).match(/^ok: /gm)
      assert.equal(shown?.length, version === '0.1.324' ? 10 : 9)
      assert.deepEqual(t.failures, [])
    })
  })

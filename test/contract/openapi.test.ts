import assert from 'node:assert/strict'
import { openApiDocument } from '../../shared/server/openapi.ts'
import { loadGoldenShapes } from '../support/contract-shapes.ts'
import {
  type Contract,
  CONTRACT_FILE,
  loadContract,
  type OpenApiDocument,
  type Operation,
  operationsOf,
  type Schema,
} from '../support/openapi.ts'
import differences from './differences.json' with { type: 'json' }

type Reasons = Record<string, string>

/** Where this Loci leaves something of V1 out or adds to it, each with its reason. */
const KNOWN: {
  not_served: Reasons
  ours: Reasons
  query: Record<string, Reasons>
  body: Record<string, Reasons>
  shapes: Record<string, Reasons>
} = differences

/** Reasons by name that hold for every operation, and those for this one. */
function reasonsFor(list: Record<string, Reasons>, operation: string): Reasons {
  return { ...list['*'], ...list[operation] }
}

describe('our OpenAPI document compared with the contract', () => {
  const contract = loadContract()
  if (!contract) {
    it('did not run: the contract is not there', function () {
      const why = `${CONTRACT_FILE} is not there: routes were compared with nothing`
      assert.ok(!process.env['CI'], why)
      console.log(`      not run: ${why}`)
      this.skip()
    })
    return
  }
  const theirs = new Map(contract.operations.map((operation) => [operation.name, operation]))
  let own: Operation[]
  let pairs: { ours: Operation; v1: Operation }[]
  before(async () => {
    own = operationsOf((await openApiDocument()) as unknown as OpenApiDocument)
    pairs = own.flatMap((ours) => {
      const v1 = theirs.get(ours.name)
      return v1 ? [{ ours, v1 }] : []
    })
  })

  it('serves operations of V1 by the same method, path and parameter names, or its own that are listed', () => {
    const unknown = own.map((o) => o.name).filter((name) => !theirs.has(name))
    assert.deepEqual(unknown.toSorted(), Object.keys(KNOWN.ours).toSorted())
    assert.ok(pairs.length > 40, `${pairs.length} operations were compared`)
    console.log(`      operations compared: ${pairs.length} of ${theirs.size}`)
  })

  it('serves every operation of V1, or says why not', () => {
    const served = new Set(pairs.map(({ v1 }) => v1.name))
    const rest = [...theirs.keys()].filter((name) => !served.has(name))
    const reasons = Object.entries(KNOWN.not_served).map(([name, reason]) => ({
      of: new RegExp(name),
      reason,
    }))
    const unexplained = rest.filter((name) => reasons.filter(({ of }) => of.test(name)).length !== 1)
    assert.deepEqual(unexplained, [], 'operations without one reason')
    for (const { of, reason } of reasons) {
      const left = rest.filter((name) => of.test(name)).length
      assert.ok(left > 0, `${String(of)} is served now`)
      console.log(`      not served: ${left}, ${reason}`)
    }
  })

  it('names its operations and writes their paths as V1 does, for clients made from the document', () => {
    const different = pairs.flatMap(({ ours, v1 }) => [
      ...(ours.id === v1.id ? [] : [`${ours.name}: operationId '${ours.id}', in V1 '${v1.id}'`]),
      ...(ours.written === v1.written ? [] : [`${ours.written}, in V1 ${v1.written}`]),
    ])
    assert.deepEqual(different, [])
    assert.equal(new Set(own.map((o) => o.id)).size, own.length, 'no id is used twice')
  })

  it('requires no query parameter that V1 does not', () => {
    const required = pairs.flatMap(({ ours, v1 }) =>
      ours.query
        .filter((p) => p.required && !parameter(v1, p.name)?.required)
        .map((p) => `${ours.name}: ${p.name}`),
    )
    assert.deepEqual(required, [])
  })

  it('reads every query parameter of V1, or says why not', () => {
    const missing = pairs.flatMap(({ ours, v1 }) => {
      const reasons = reasonsFor(KNOWN.query, ours.name)
      return v1.query
        .filter((p) => !parameter(ours, p.name) && !Object.hasOwn(reasons, p.name))
        .map((p) => `${ours.name}: ${p.name}`)
    })
    assert.deepEqual(missing, [])
  })

  it('has the default limits and orders of V1', () => {
    const different = pairs.flatMap(({ ours, v1 }) =>
      v1.query.flatMap(({ name, default: wanted }) => {
        const schema = parameter(ours, name)
        if (!schema || (name !== 'limit' && name !== 'order' && schema.default === undefined)) return []
        const reasons = reasonsFor(KNOWN.query, ours.name)
        return schema.default === (wanted ?? undefined) || Object.hasOwn(reasons, name)
          ? []
          : [`${ours.name}: ${name} is ${String(schema.default)}, in V1 ${JSON.stringify(wanted)}`]
      }),
    )
    assert.deepEqual(different, [])
  })

  it('takes every field of the bodies of V1, or says why not, and asks for none that V1 does not', () => {
    const problems = pairs.flatMap(({ ours, v1 }) => {
      if (!v1.body) return ours.body?.schema.required?.length ? [`${ours.name}: V1 reads no body`] : []
      const wanted = fieldsOf(contract, v1.body.schema)
      const taken = ours.body ? fieldsOf(contract, ours.body.schema) : { all: new Set(), required: new Set() }
      const reasons = reasonsFor(KNOWN.body, ours.name)
      return [
        ...[...wanted.all]
          .filter((field) => !taken.all.has(field) && !Object.hasOwn(reasons, field))
          .map((field) => `${ours.name}: body.${field} is not taken`),
        ...[...taken.required]
          .filter((field) => !wanted.required.has(field as string))
          .map((field) => `${ours.name}: body.${String(field)} is required, in V1 it is not`),
      ]
    })
    assert.deepEqual(problems, [])
  })

  it('knows no difference that is none any more', () => {
    const stale = [
      ...Object.entries(KNOWN.query).map(([name, reasons]) => ({ name, reasons, what: 'query' as const })),
      ...Object.entries(KNOWN.body).map(([name, reasons]) => ({ name, reasons, what: 'body' as const })),
    ].flatMap(({ name, reasons, what }) =>
      Object.keys(reasons)
        .filter(
          (field) =>
            !pairs.some((pair) => (name === '*' || pair.ours.name === name) && lacks(pair, what, field)),
        )
        .map((field) => `${what} ${name}: ${field}`),
    )
    assert.deepEqual(stale, [])
  })

  function lacks({ ours, v1 }: (typeof pairs)[number], what: 'query' | 'body', field: string): boolean {
    if (what === 'query') {
      const wanted = v1.query.find((p) => p.name === field)
      const got = parameter(ours, field)
      return wanted !== undefined && (got === undefined || got.default !== (wanted.default ?? undefined))
    }
    const has = (schema: Schema | null | undefined) =>
      schema ? fieldsOf(contract!, schema).all.has(field) : false
    return has(v1.body?.schema) && !has(ours.body?.schema)
  }

  it('has golden shapes with the fields of the schemas of V1, or a reason for each difference', () => {
    const problems = [...loadGoldenShapes().shapes].flatMap(([name, shape]) => {
      const { schema: component = name, ...known } = KNOWN.shapes[name] ?? {}
      if (shape['by'] !== undefined || component === 'none') return []
      const wanted = fieldsOf(contract, contract.schema(component)).all
      const keys = new Set(Object.keys(shape).map((key) => key.replace(/\?$/, '')))
      const reasons = new Set(Object.keys(known))
      return [
        ...[...wanted.difference(keys).difference(reasons)].map((key) => `${name}.${key} is missing`),
        ...[...keys.difference(wanted).difference(reasons)].map((key) => `${name}.${key} is not of V1`),
        ...[...reasons.difference(wanted.symmetricDifference(keys))].map(
          (key) => `${name}.${key} is V1's now`,
        ),
      ]
    })
    assert.deepEqual(problems, [])
  })
})

function parameter(operation: Operation, name: string) {
  return operation.query.find((p) => p.name === name)
}

/** Properties of a schema; of a union, all of any member, and as required those that every member requires. */
function fieldsOf(contract: Contract, schema: Schema): { all: Set<string>; required: Set<string> } {
  const resolved = contract.resolve(schema)
  const members = resolved.anyOf ?? resolved.oneOf
  if (!members)
    return {
      all: new Set(Object.keys(resolved.properties ?? {})),
      required: new Set(resolved.required ?? []),
    }
  const fields = members.filter((m) => m.type !== 'null').map((member) => fieldsOf(contract, member))
  return {
    all: new Set(fields.flatMap(({ all }) => [...all])),
    required: fields
      .map((f) => f.required)
      .reduce((a, b) => a.intersection(b), fields[0]?.required ?? new Set()),
  }
}

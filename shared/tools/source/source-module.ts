import {
  errorAt,
  unwrap,
  type EnumNode,
  type Expression,
  type InterfaceNode,
  type Positioned,
  type Program,
  type Statement,
} from './ast.ts'

type Alias = Extract<Statement, { type: 'TSTypeAliasDeclaration' }>

/** What the names at the top of a source stand for. */
export interface SourceModule {
  interfaces: ReadonlyMap<string, readonly InterfaceNode[]>
  aliases: ReadonlyMap<string, Alias>
  enums: ReadonlyMap<string, EnumNode>
  classes: ReadonlySet<string>
  /** Constants. */
  values: ReadonlyMap<string, Expression>
  imports: ReadonlyMap<string, { module: string; imported: string }>
  /** Statements that a schema was read from through a name, so that a comment there counts. */
  statements: ReadonlyMap<string, Positioned>
}

/** Notes what is declared at the top of a source. */
export function readModule(program: Program): SourceModule {
  const interfaces = new Map<string, InterfaceNode[]>()
  const aliases = new Map<string, Alias>()
  const enums = new Map<string, EnumNode>()
  const classes = new Set<string>()
  const values = new Map<string, Expression>()
  const imports = new Map<string, { module: string; imported: string }>()
  const statements = new Map<string, Positioned>()
  for (const statement of program.body) {
    const inner =
      statement.type === 'ExportNamedDeclaration' && statement.declaration ? statement.declaration : statement
    switch (inner.type) {
      case 'TSInterfaceDeclaration':
        interfaces.set(inner.id.name, [...(interfaces.get(inner.id.name) ?? []), inner])
        statements.set(inner.id.name, statement)
        break
      case 'TSTypeAliasDeclaration':
        aliases.set(inner.id.name, inner)
        statements.set(inner.id.name, statement)
        break
      case 'TSEnumDeclaration':
        enums.set(inner.id.name, inner)
        statements.set(inner.id.name, statement)
        break
      case 'ClassDeclaration':
        if (inner.id) classes.add(inner.id.name)
        break
      case 'VariableDeclaration':
        if (inner.kind !== 'const') break
        for (const { id, init } of inner.declarations)
          if (id.type === 'Identifier' && init) values.set(id.name, init)
        break
      case 'ImportDeclaration':
        for (const specifier of inner.specifiers)
          imports.set(specifier.local.name, { module: inner.source.value, imported: importedName(specifier) })
        break
      default:
    }
  }
  return { interfaces, aliases, enums, classes, values, imports, statements }
}

type Specifier = Extract<Statement, { type: 'ImportDeclaration' }>['specifiers'][number]

/** `*` for the whole module. */
function importedName(specifier: Specifier): string {
  if (specifier.type === 'ImportDefaultSpecifier') return 'default'
  if (specifier.type === 'ImportNamespaceSpecifier') return '*'
  return specifier.imported.type === 'Identifier' ? specifier.imported.name : specifier.imported.value
}

/** A value that stands in the source as it is. */
export interface StaticValue {
  value: unknown
}

const MAX_DEPTH = 32

/** The value of an expression, where it can be known without running it; undefined where it cannot. */
export function staticValue(
  expression: Expression,
  module: SourceModule,
  depth = 0,
): StaticValue | undefined {
  const found = depth > MAX_DEPTH ? undefined : evaluated(expression, module, depth)
  // JSON knows no others.
  return typeof found?.value === 'number' && !Number.isFinite(found.value) ? undefined : found
}

function evaluated(expression: Expression, module: SourceModule, depth: number): StaticValue | undefined {
  const of = (inner: Expression) => staticValue(inner, module, depth + 1)
  const node = unwrap(expression)
  switch (node.type) {
    case 'StringLiteral':
    case 'NumericLiteral':
    case 'BooleanLiteral':
      return { value: node.value }
    case 'NullLiteral':
      return { value: null }
    case 'TemplateLiteral': {
      let text = node.quasis[0]?.value.cooked ?? ''
      for (const [index, inner] of node.expressions.entries()) {
        const part = isExpression(inner) ? of(inner) : undefined
        if (!part) return undefined
        text += String(part.value) + (node.quasis[index + 1]?.value.cooked ?? '')
      }
      return { value: text }
    }
    case 'UnaryExpression': {
      const part = of(node.argument)
      if (node.operator === '-' && typeof part?.value === 'number') return { value: -part.value }
      if (node.operator === '+' && typeof part?.value === 'number') return part
      if (node.operator === '!' && typeof part?.value === 'boolean') return { value: !part.value }
      return undefined
    }
    case 'BinaryExpression': {
      const left = isExpression(node.left) ? of(node.left) : undefined
      const right = of(node.right)
      return left && right ? calculated(node.operator, left.value, right.value) : undefined
    }
    case 'ArrayExpression': {
      const items: unknown[] = []
      for (const element of node.elements) {
        const spread = element?.type === 'SpreadElement'
        const item = element && of(spread ? element.argument : element)
        if (!item || (spread && !Array.isArray(item.value))) return undefined
        if (spread) items.push(...(item.value as unknown[]))
        else items.push(item.value)
      }
      return { value: items }
    }
    case 'ObjectExpression': {
      const entries: [string, unknown][] = []
      for (const property of node.properties) {
        if (property.type === 'SpreadElement') {
          const part = of(property.argument)
          if (typeof part?.value !== 'object' || part.value === null) return undefined
          entries.push(...Object.entries(part.value))
          continue
        }
        const name = keyName(property)
        const value =
          property.type === 'ObjectProperty' && isExpression(property.value) ? of(property.value) : undefined
        if (name === undefined || !value) return undefined
        entries.push([name, value.value])
      }
      return { value: Object.fromEntries(entries) }
    }
    case 'Identifier': {
      const inner = module.values.get(node.name)
      return inner && of(inner)
    }
    case 'MemberExpression': {
      const name = memberName(node)
      if (node.object.type !== 'Identifier' || name === undefined) return undefined
      const members = module.enums.get(node.object.name)
      if (members) {
        const found = enumMembers(members, module).get(name)
        return found === undefined ? undefined : { value: found }
      }
      const owner = of(node.object)
      if (typeof owner?.value !== 'object' || owner.value === null || !Object.hasOwn(owner.value, name))
        return undefined
      return { value: (owner.value as Record<string, unknown>)[name] }
    }
    default:
      return undefined
  }
}

function calculated(operator: string, left: unknown, right: unknown): StaticValue | undefined {
  const simple = (value: unknown) => typeof value === 'string' || typeof value === 'number'
  if (!simple(left) || !simple(right)) return undefined
  if (operator === '+')
    return {
      value:
        typeof left === 'number' && typeof right === 'number' ? left + right : String(left) + String(right),
    }
  if (typeof left !== 'number' || typeof right !== 'number') return undefined
  if (operator === '*') return { value: left * right }
  if (operator === '-') return { value: left - right }
  if (operator === '/') return { value: left / right }
  if (operator === '<<') return { value: left << right }
  if (operator === '|') return { value: left | right }
  return operator === '**' ? { value: left ** right } : undefined
}

/** What a property or method of an object or a type is called; undefined for a computed name. */
export function keyName(property: {
  key?: Positioned
  computed?: boolean | null | undefined
}): string | undefined {
  const { key, computed } = property
  if (!key || (computed && key.type !== 'StringLiteral')) return undefined
  const name = literalName(key)
  if (name === '__proto__') throw errorAt(key, 'A property cannot be called __proto__: name it otherwise.')
  return name
}

function literalName(key: Positioned): string | undefined {
  if (key.type === 'Identifier') return (key as Positioned & { name: string }).name
  if (key.type === 'StringLiteral' || key.type === 'NumericLiteral')
    return String((key as Positioned & { value: string | number }).value)
  return undefined
}

/** The name behind the dot, or in the brackets. */
export function memberName(node: Extract<Expression, { type: 'MemberExpression' }>): string | undefined {
  if (!node.computed) return node.property.type === 'Identifier' ? node.property.name : undefined
  return node.property.type === 'StringLiteral' ? node.property.value : undefined
}

/** The members of an enum with their values. Throws `SourceError` for one whose value is not written out. */
export function enumMembers(node: EnumNode, module: SourceModule): Map<string, string | number> {
  const members = new Map<string, string | number>()
  let next: number | undefined = 0
  for (const member of node.body.members) {
    const name = member.id.type === 'Identifier' ? member.id.name : (member.id as { value: string }).value
    let value: unknown = next
    if (member.initializer) {
      const known = [...members].map(([name, value]) => [name, numberOrText(value)] as const)
      value = staticValue(member.initializer, {
        ...module,
        values: new Map([...module.values, ...known]),
      })?.value
    }
    if (typeof value !== 'string' && typeof value !== 'number')
      throw errorAt(
        member,
        `The value of ${node.id.name}.${name} is not written out: give it a string or a number.`,
      )
    members.set(name, value)
    next = typeof value === 'number' ? value + 1 : undefined
  }
  return members
}

/** As an expression: members may be made of earlier ones. */
function numberOrText(value: string | number): Expression {
  return { type: typeof value === 'string' ? 'StringLiteral' : 'NumericLiteral', value } as Expression
}

export function isExpression(node: { type: string }): node is Expression {
  return (
    !node.type.endsWith('Declaration') &&
    !node.type.endsWith('Pattern') &&
    (!node.type.startsWith('TS') || /Expression$|Assertion$/.test(node.type)) &&
    node.type !== 'PrivateName' &&
    node.type !== 'SpreadElement'
  )
}

import { placeOf, type Positioned } from './ast.ts'

/** A tag of a JSDoc comment. */
export interface DocTag {
  name: string
  text: string
  line: number
}

/** What a JSDoc comment says. */
export interface Doc {
  description: string
  tags: DocTag[]
}

/** What a comment says of a parameter: `@param {type} [path.to.name=…] - text`, and the tags of constraints after it. */
export interface ParamDoc {
  /** As written, without brackets: `options`, `options.city`, `items[].name`. */
  path: string
  description: string
  tags: DocTag[]
  line: number
}

/** Tags that say what a value may be; after a `@param` they speak of that parameter. */
export const CONSTRAINTS = {
  minimum: 'minimum',
  min: 'minimum',
  maximum: 'maximum',
  max: 'maximum',
  exclusiveMinimum: 'exclusiveMinimum',
  exclusiveMaximum: 'exclusiveMaximum',
  multipleOf: 'multipleOf',
  minLength: 'minLength',
  maxLength: 'maxLength',
  pattern: 'pattern',
  format: 'format',
  minItems: 'minItems',
  maxItems: 'maxItems',
  uniqueItems: 'uniqueItems',
  title: 'title',
} as const
const OTHER_VALUE_TAGS = ['default', 'defaultValue', 'integer', 'int', 'deprecated']

/** Where a tag of a value stands behind its description: `The city @minLength 2`. */
const INLINE_TAG = new RegExp(
  `\\s(?=@(?:${[...Object.keys(CONSTRAINTS), ...OTHER_VALUE_TAGS].join('|')})\\b)`,
)

/** The JSDoc comment before a node; null when there is none. */
export function docOf(node: Positioned): Doc | null {
  const comment = node.leadingComments?.findLast(
    ({ type, value }) => type === 'CommentBlock' && value.startsWith('*'),
  )
  return comment ? parseDoc(comment.value.slice(1), comment.loc?.start.line ?? placeOf(node).line) : null
}

function parseDoc(text: string, line: number): Doc {
  const description: string[] = []
  const tags: { name: string; lines: string[]; line: number }[] = []
  let fenced = false
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const content = raw.replace(/^\s*\* ?/, '').trimEnd()
    if (content.trimStart().startsWith('```')) fenced = !fenced
    for (const piece of fenced ? [content] : content.split(INLINE_TAG)) {
      const tag = fenced ? null : /^\s*@([A-Za-z]+)\s?(.*)$/.exec(piece)
      if (tag) tags.push({ name: tag[1] ?? '', lines: [tag[2] ?? ''], line: line + index })
      else (tags.at(-1)?.lines ?? description).push(piece)
    }
  }
  const found = tags.map((tag) => ({ name: tag.name, text: tidy(tag.lines), line: tag.line }))
  const described = found.find(({ name }) => name === 'description')?.text
  return { description: [tidy(description), described].filter(Boolean).join('\n\n'), tags: found }
}

function tidy(lines: readonly string[]): string {
  return lines
    .join('\n')
    .replace(
      /\{@(?:link|linkcode|linkplain)\s+([^}\s|]+)[\s|]*([^}]*)\}/g,
      (_, name: string, text: string) => text || name,
    )
    .trim()
}

/** What a tool's model is told it does: the description, and its examples. */
export function describing({ description, tags }: Doc): string {
  const examples = tags.filter(({ name, text }) => name === 'example' && text).map(({ text }) => text)
  const shown =
    examples.length > 0 ? [`Example${examples.length > 1 ? 's' : ''}:\n${examples.join('\n\n')}`] : []
  return [description, ...shown].filter(Boolean).join('\n\n')
}

/** The parameters that a comment describes, in its order. */
export function paramDocs({ tags }: Doc): ParamDoc[] {
  const params: ParamDoc[] = []
  for (const tag of tags) {
    if (['param', 'arg', 'argument'].includes(tag.name)) {
      const parts =
        /^(?:\{(?:[^{}]|\{[^{}]*\})*\}\s*)?(?:\[([\w$.[\]]+?)(?:\s*=[^\]]*)?\](?!\.)|([\w$.[\]]+))\s*(?:[-–—:]\s*)?([\s\S]*)$/.exec(
          tag.text,
        )
      const path = parts?.[1] ?? parts?.[2]
      if (path) params.push({ path, description: oneLine(parts?.[3] ?? ''), tags: [], line: tag.line })
    } else if (isValueTag(tag.name)) params.at(-1)?.tags.push(tag)
  }
  return params
}

function isValueTag(name: string): boolean {
  return Object.hasOwn(CONSTRAINTS, name) || OTHER_VALUE_TAGS.includes(name)
}

/** Lines of one paragraph become one. */
export function oneLine(text: string): string {
  return text
    .split(/\n{2,}/)
    .map((paragraph) =>
      paragraph
        .split(/\s*\n\s*/)
        .join(' ')
        .trim(),
    )
    .join('\n\n')
    .trim()
}

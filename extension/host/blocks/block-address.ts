/** Where a block is as a document: what its tab says, and which block it is. */
export interface BlockAddress {
  /** `/Scout/human.md`: for people only. */
  path: string
  /** The block's id, which is what counts: label and agents may change. */
  query: string
}

/** The scheme of blocks as documents. */
export const BLOCK_SCHEME = 'loci'
/** The scheme of what a block was after one of its versions; such documents never change. */
export const VERSION_SCHEME = 'loci-version'

/** In the place of an agent for what none or several have. */
const NOBODYS = 'Memory'
/** Longest name of a tab, in UTF-16 units. A label may have a thousand. */
const LONGEST = 100

/** The document of a block. `owner` is the agent whose it is, null when none or several have it. */
export function addressOf(block: { id: string; label: string }, owner: string | null): BlockAddress {
  const name = fileName(block.label)
  const file = /\.md$/i.test(name) ? name : `${name}.md`
  return { path: `/${owner === null ? NOBODYS : fileName(owner)}/${file}`, query: block.id }
}

/** The document of a block as it was after this version. */
export function versionAddress(block_path: string, block_id: string, version: number): BlockAddress {
  return { path: block_path, query: `${block_id}@${version}` }
}

/** The block of a document; null for a query that names none. */
export function blockIdOf(query: string): string | null {
  return /^block-[\w-]+$/.test(query) ? query : null
}

/** Block and version of a document of `VERSION_SCHEME`; null for a query that names none. */
export function versionOf(query: string): { block_id: string; version: number } | null {
  const [, block_id, version] = /^(block-[\w-]+)@(\d{1,15})$/.exec(query) ?? []
  return block_id === undefined ? null : { block_id, version: Number(version) }
}

/** A label or name as one part of a path, as alike as can be: a slash becomes one that parts nothing. */
function fileName(label: string): string {
  const plain = label
    .replaceAll('/', '∕')
    .replaceAll('\\', '⧵')
    .replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
  const name = plain.length <= LONGEST ? plain : `${cutAt(plain, LONGEST)}…`
  // A path resolves these.
  return name === '' || name === '.' || name === '..' ? 'block' : name
}

/** Never in the middle of a surrogate pair. */
function cutAt(text: string, length: number): string {
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length)
}

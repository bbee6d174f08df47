import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml'

/** Where something is in a file of YAML, for people: `agents.yml:12:5`. */
export type PlaceOf = (path: readonly PropertyKey[], options?: { key?: string }) => string

/**
 * Finds places by the path of a value, as validation names it; `key` is a key of the map there. What is not there has the
 * place of the nearest thing around it.
 */
export function placesIn(file: string, document: Document, lines: LineCounter): PlaceOf {
  return (path, { key } = {}) => {
    let node: unknown = document.contents
    let found = rangeOf(node)
    for (const step of path) {
      if (isAlias(node)) node = node.resolve(document)
      const next: { key?: unknown; value: unknown } | null = isMap(node)
        ? pairOf(node.items, String(step))
        : isSeq(node)
          ? { value: node.items[Number(step)] }
          : null
      if (!next) break
      // A value is found where its key is.
      found = rangeOf(next.key) ?? rangeOf(next.value) ?? found
      node = next.value
    }
    if (isAlias(node)) node = node.resolve(document)
    if (key !== undefined && isMap(node)) found = rangeOf(pairOf(node.items, key)?.key) ?? found
    const { line, col } = lines.linePos(found ?? 0)
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`
  }
}

function pairOf(items: readonly { key: unknown; value: unknown }[], name: string) {
  return items.find(({ key }) => (isScalar(key) ? String(key.value) : key) === name) ?? null
}

function rangeOf(node: unknown): number | null {
  return (node as Node | null | undefined)?.range?.[0] ?? null
}

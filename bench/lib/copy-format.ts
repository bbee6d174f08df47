/** A value of a row: null, a text, a whole number as bigint's eight bytes, or bytes as they are. */
export type Cell = null | string | number | Uint8Array

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')

/**
 * Rows as PostgreSQL's `COPY … (FORMAT binary)` reads them (https://www.postgresql.org/docs/current/sql-copy.html,
 * "Binary Format").
 */
export function copyBytes(rows: Iterable<readonly Cell[]>): Buffer {
  const pieces: Buffer[] = [Buffer.concat([SIGNATURE, Buffer.alloc(8)])]
  for (const row of rows) {
    const cells = row.map(bytesOfCell)
    const line = Buffer.allocUnsafe(2 + cells.reduce((sum, cell) => sum + 4 + (cell?.length ?? 0), 0))
    let at = line.writeInt16BE(row.length, 0)
    for (const cell of cells) {
      at = line.writeInt32BE(cell?.length ?? -1, at)
      if (!cell) continue
      line.set(cell, at)
      at += cell.length
    }
    pieces.push(line)
  }
  pieces.push(Buffer.from([0xff, 0xff]))
  return Buffer.concat(pieces)
}

/** A vector as pgvector's type sends and receives it. */
export function vectorBytes(vector: Float32Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(4 + 4 * vector.length)
  let at = bytes.writeInt16BE(vector.length, 0)
  at = bytes.writeInt16BE(0, at)
  for (const x of vector) at = bytes.writeFloatBE(x, at)
  return bytes
}

function bytesOfCell(cell: Cell): Uint8Array | null {
  if (cell === null || cell instanceof Uint8Array) return cell
  if (typeof cell === 'string') return Buffer.from(cell)
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(BigInt(cell))
  return bytes
}

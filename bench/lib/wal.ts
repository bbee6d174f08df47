import { readFile } from 'node:fs/promises'

/** Transactions in a write-ahead log since it was last begun anew; `generation` changes when it is. */
export interface Written {
  generation: string
  transactions: number
}

/**
 * Counts the frames of SQLite's write-ahead log that end a transaction (https://www.sqlite.org/fileformat2.html, section
 * 4): those of the present generation, whose second field is not 0. A log that is not there yet has none.
 */
export async function transactionsIn(database: string): Promise<Written> {
  let log: Buffer
  try {
    log = await readFile(`${database}-wal`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { generation: '', transactions: 0 }
    throw error
  }
  if (log.length < 32) return { generation: '', transactions: 0 }
  const page = log.readUInt32BE(8)
  const salt = log.subarray(16, 24)
  let transactions = 0
  for (let at = 32; at + 24 + page <= log.length; at += 24 + page) {
    if (!log.subarray(at + 8, at + 16).equals(salt)) break
    if (log.readUInt32BE(at + 4) !== 0) transactions++
  }
  return { generation: salt.toString('hex'), transactions }
}

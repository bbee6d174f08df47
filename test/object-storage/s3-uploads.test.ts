import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LocalCopies } from '../../shared/store/uploads/local-copies.ts'
import { S3Uploads } from '../../shared/store/uploads/s3-uploads.ts'
import { describeUploads } from '../contracts/uploads.contract.ts'
import { type S3Server, startS3Server } from './s3-server.ts'

describe('with object storage', function () {
  this.timeout(120_000)
  let server: S3Server
  before(async () => {
    server = await startS3Server()
  })
  after(() => server?.stop())

  const moto = { wrong_ages: 'moto says of every unfinished upload that it was begun in 2010' }
  const world = async () => {
    const settings = await server.bucket()
    const folders = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), 'loci-uploads-'))))
    const of = (directory: string) =>
      new S3Uploads({ settings, copies: new LocalCopies(directory), store_id: async () => 'store-1' })
    return {
      uploads: of(folders[0]!),
      other: of(folders[1]!),
      close: async () => {
        for (const folder of folders) await rm(folder, { recursive: true })
      },
    }
  }
  describeUploads('uploads in a bucket', world, moto)
})

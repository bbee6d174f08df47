import { startServer, type TestServer } from '../postgres/server.ts'
import { describeUploadTakeOver } from '../postgres/upload-take-over.ts'
import { type S3Server, startS3Server } from './s3-server.ts'

describe('servers over one PostgreSQL and one bucket', function () {
  this.timeout(120_000)
  let database: TestServer
  let storage: S3Server
  let made = 0
  before(async () => {
    database = await startServer()
    storage = await startS3Server()
  })
  after(async () => {
    await database?.stop()
    await storage?.stop()
  })

  describeUploadTakeOver('with uploads in object storage', async () => {
    const name = `take_over_${made++}`
    await database.create(name)
    const settings = await storage.bucket()
    return {
      env: {
        LOCI_STORE: database.address(name),
        LOCI_S3_ENDPOINT: storage.url,
        LOCI_S3_BUCKET: settings.bucket,
        LOCI_S3_PREFIX: 'uploads',
        AWS_ACCESS_KEY_ID: settings.access_key_id,
        AWS_SECRET_ACCESS_KEY: settings.secret_access_key,
      },
      lying: () => storage.keys(settings),
      // Of what is unfinished this server always says that it was begun in 2010.
      age: null,
    }
  })
})

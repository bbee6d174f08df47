import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FolderUploads } from '../../shared/store/uploads/folder-uploads.ts'
import { describeUploads } from '../contracts/uploads.contract.ts'

describeUploads('uploads in a folder', async () => {
  const data = await mkdtemp(join(tmpdir(), 'loci-uploads-'))
  await mkdir(join(data, 'files'))
  const uploads = new FolderUploads(join(data, 'files'))
  return {
    uploads,
    other: new FolderUploads(join(data, 'files')),
    close: () => rm(data, { recursive: true }),
  }
})

import { statfsSync } from 'node:fs'

/** Magic numbers of statfs(2), Linux. */
const NAMES = new Map<number, string>([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0x4d44, 'fat'],
  [0x2011bab0, 'exfat'],
  [0x5346544e, 'ntfs'],
  [0x65735546, 'fuse'],
  [0x6969, 'nfs'],
  [0x517b, 'smb'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x01021997, '9p'],
  [0x786f4256, 'vboxsf'],
  [0x00c36400, 'ceph'],
  [0x5346414f, 'afs'],
  [0x0bd00bd0, 'lustre'],
])

/** File systems on which SQLite's locks or its shared memory do not hold between machines. */
const SHARED = new Set(['nfs', 'smb', 'cifs', 'smb2', '9p', 'vboxsf', 'ceph', 'afs', 'lustre'])

export interface FileSystem {
  /** Null where the system does not say. */
  kind: string | null
  /** Reached over a network or shared with another machine. */
  shared: boolean
  free_bytes: number
}

/** What an existing folder lies on. Throws what the system says. */
export function fileSystemOf(path: string): FileSystem {
  const { type, bavail, bsize } = statfsSync(path)
  // UNC paths are the only sign on Windows.
  if (process.platform === 'win32') {
    const unc = /^\\\\[^?.]/.test(path)
    return { kind: unc ? 'smb' : null, shared: unc, free_bytes: bavail * bsize }
  }
  const kind = process.platform === 'linux' ? (NAMES.get(type) ?? `0x${type.toString(16)}`) : null
  return { kind, shared: kind !== null && SHARED.has(kind), free_bytes: bavail * bsize }
}

import { existsSync, readFileSync, realpathSync, statfsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { unavailable } from '../sql/errors.ts'

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

/** The kinds of FUSE, as mounts name them after `fuse.`, that reach over a network; others are disks of this machine. */
const FUSE_SHARED =
  /^(?:sshfs|rclone|s3fs|s3ql|gcsfuse|goofys|blobfuse2?|mountpoint-s3|juicefs|glusterfs|ceph|davfs2?|curlftpfs|smbnetfs|seaweedfs|moosefs|mfs|cvmfs2?|gvfsd-fuse|google-drive-ocamlfuse|onedriver|kbfsfuse|afp.*|nfs.*|smb.*)$/

export interface FileSystem {
  /** Null where the system does not say. */
  kind: string | null
  /** Reached over a network or shared with another machine. */
  shared: boolean
  free_bytes: number
}

/** What a folder lies on, or would lie on if it were made. Throws what the system says. */
export function fileSystemOf(folder: string): FileSystem {
  const path = nearestThere(resolve(folder))
  const { type, bavail, bsize } = statfsSync(path)
  // UNC paths are the only sign on Windows.
  if (process.platform === 'win32') {
    const unc = /^\\\\[^?.]/.test(path)
    return { kind: unc ? 'smb' : null, shared: unc, free_bytes: bavail * bsize }
  }
  const free_bytes = bavail * bsize
  if (process.platform !== 'linux') return { kind: null, shared: false, free_bytes }
  // Some systems say the number as a signed one.
  const name = NAMES.get(type >>> 0) ?? `0x${(type >>> 0).toString(16)}`
  const kind = name === 'fuse' ? (fuseKind(realpathSync(path), readMounts()) ?? name) : name
  return { kind, shared: isShared(kind), free_bytes }
}

function nearestThere(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestThere(dirname(path))
}

/** Whether a file system of this kind is reached over a network or shared with another machine. */
export function isShared(kind: string): boolean {
  return SHARED.has(kind) || (kind.startsWith('fuse.') && FUSE_SHARED.test(kind.slice('fuse.'.length)))
}

/** The type of the mount that holds this path, like `fuse.sshfs`, by the lines of `/proc/self/mountinfo`. */
export function fuseKind(path: string, mountinfo: string): string | null {
  let found: { point: string; type: string } | null = null
  for (const line of mountinfo.split('\n')) {
    const [mount, source] = line.split(' - ')
    const point = mount
      ?.split(' ')[4]
      ?.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)))
    const type = source?.split(' ')[0]
    if (point === undefined || type === undefined) continue
    const holds = path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`)
    // Of two mounts at one place the later one is seen.
    if (holds && point.length >= (found?.point.length ?? 0)) found = { point, type }
  }
  return found?.type ?? null
}

function readMounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    // Not every container shows it; the kind is then just `fuse`.
    return ''
  }
}

/** Throws `store_unavailable` for a directory on a file system where SQLite's locks do not hold, unless it is allowed. */
export function refuseShared(
  directory: string,
  { kind, shared }: Pick<FileSystem, 'kind' | 'shared'>,
  allowed: boolean,
): void {
  if (!shared || allowed) return
  throw unavailable(
    `The data directory ${directory} is on a network or shared file system (${kind}). The locks that keep two ` +
      'processes from damaging the database do not hold there. Choose a directory on a disk of this machine with ' +
      '--data or LOCI_HOME. If only one machine ever uses this one and you accept the risk: LOCI_ALLOW_NETWORK_FS=1.',
  )
}

import type { ChildProcess } from 'node:child_process'
import type { ToolWall } from '../../core/ports/custom-tools.ts'

/** A program to be started behind the wall. */
export interface WalledCommand {
  /** Absolute; inside, too: name its folder in `read` unless it is the system's. */
  command: string
  /** `{scratch}` in them stands for its scratch folder. */
  args: readonly string[]
  /**
   * All of the environment; nothing of ours is added but HOME, TMPDIR and PATH. Nothing secret: the programs that make
   * the wall see it. What is secret goes over a pipe.
   */
  env: Readonly<Record<string, string>>
  /** Absolute paths that can be read inside, at the same place, besides the system's programs and libraries. */
  read: readonly string[]
  /** Absolute paths that can be written inside, at the same place. */
  write: readonly string[]
  network: boolean
  /** It is ours, and walls in what it starts: it may make user namespaces of its own. Otherwise none can be made. */
  namespaces?: boolean
  limits: WalledLimits
  /** Pipes besides stdin, stdout and stderr, from descriptor 3 on; each carries both ways. */
  pipes: number
}

/** Files that a scratch folder takes for each mebibyte: an empty one takes memory of the kernel, too. */
export const FILES_PER_MB = 512

/** What a walled program may use. Where the wall has no such limit docs/security.md says so. */
export interface WalledLimits {
  /** Mebibytes of memory that a process may fill. */
  memory_mb: number
  /** Seconds of processor time of a process. */
  cpu_s: number
  /** Processes and threads at once. */
  processes: number
  /** Mebibytes of any file that it writes. */
  file_mb: number
  /** Mebibytes in its scratch folder, all together, and `FILES_PER_MB` files for each of them. It is in memory. */
  scratch_mb: number
}

/**
 * The wall of this machine. Each program gets an empty scratch folder of its own, which is its current, home and
 * temporary directory, and which is gone when it ends.
 */
export interface Wall extends ToolWall {
  /**
   * Starts a program; the caller ends it with `killAll`. Throws `invalid_argument` for a declared folder that cannot be
   * shown. When making the wall fails half way the program is not started: the child ends with a code that is not 0, and
   * says why on stderr. A wall of kind `none` starts it without one.
   */
  launch(command: WalledCommand): ChildProcess
  /**
   * How many files a program has in its scratch folder now; null when that cannot be told. Missing where the wall itself
   * bounds them, or cannot.
   */
  scratchFiles?(child: ChildProcess): Promise<number | null>
  /** Ends a program with everything that it started. */
  killAll(child: ChildProcess): void
}

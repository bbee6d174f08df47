import type { ChildProcess } from 'node:child_process'
import type { ToolWall } from '../../core/ports/custom-tools.ts'

/** A program to be started behind the wall. */
export interface WalledCommand {
  command: string
  args: readonly string[]
  /** All of the environment; nothing of ours is added but HOME, TMPDIR and PATH. */
  env: Readonly<Record<string, string>>
  /** Absolute paths that can be read inside, at the same place, besides the system's programs and libraries. */
  read: readonly string[]
  /** Absolute paths that can be written inside, at the same place. */
  write: readonly string[]
  /** An empty folder of this process alone: its current, home and temporary directory. */
  scratch: string
  network: boolean
  limits: {
    /** Mebibytes. */
    memory_mb: number
    /** Seconds of processor time. */
    cpu_s: number
    /** Processes and threads at once. */
    processes: number
    /** Mebibytes of any file that it writes. */
    file_mb: number
  }
  /** Pipes besides stdin, stdout and stderr, from descriptor 3 on. */
  pipes: number
}

/** The wall of this machine. */
export interface Wall extends ToolWall {
  /** Starts a program; the caller ends it with `killAll`. Throws when the wall cannot be made: there is no way around it. */
  launch(command: WalledCommand): ChildProcess
  /** Ends a program with everything that it started. */
  killAll(child: ChildProcess): void
}

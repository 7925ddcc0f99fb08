/**
 * The files of the audit log: one is appended to, and a next one is begun when it is large. Names sort in the order in which
 * they were begun. A write that resolves is on the disk, unless the configuration leaves that to the operating system.
 */
import { constants, writeSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type ChainHead, fileLine } from '../formats/audit-chain.ts'

const APPEND = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_APPEND
const NAME = /^audit-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-([0-9a-f]{32})(?:-p(\d{1,2}))?-\d{6}\.jsonl$/
/** Beyond this many times its bound a file ends without waiting for a checkpoint to end with. */
const PATIENCE = 2

/** Paths of the files in a folder, the oldest first; none when there is no folder. */
export async function listLogFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names
    .filter(name => NAME.test(name))
    .sort()
    .map(name => join(folder, name))
}

/** The same of one process alone: of a service process by its number, or of the daemon's first process. */
export async function listFilesOf(process: number | undefined, folder: string): Promise<string[]> {
  return (await listLogFiles(folder)).filter(path => readLogFileName(path).process === process)
}

/** What the name of a file says. */
export interface LogFileName {
  readonly chain: string
  /** The number of the service process whose chain it is; absent where it is that of the daemon's first process. */
  readonly process: number | undefined
  /** When the chain began. */
  readonly startedAtMs: number
}

/** Of a path that {@link listLogFiles} has returned. */
export function readLogFileName(path: string): LogFileName {
  const [, year, month, day, hour, minute, second, ms, chain = '', process] = NAME.exec(basename(path)) ?? []
  const startedAtMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`)
  return { chain, process: process === undefined ? undefined : Number(process), startedAtMs }
}

interface OpenFile {
  readonly path: string
  readonly handle: FileHandle
  readonly inode: number
  /** What is known to be on the disk. */
  bytes: number
}

export interface LogFilesOptions {
  readonly folder: string
  /** 32 hex digits. */
  readonly chain: string
  readonly maxBytes: number
  /** Whether a write resolves when it is on the disk (O_DSYNC), or when the operating system has it; true when absent. */
  readonly syncToDisk?: boolean
  /** When the chain began. */
  readonly startedAtMs: number
  /** The number of the service process that writes; absent in the daemon's first process. */
  readonly process?: number | undefined
}

export class LogFiles {
  readonly #options: LogFilesOptions
  #number = 0
  #file: OpenFile | undefined
  /** Whether a write failed half way: what it left behind must go before the file is closed. */
  #torn = false
  /** Whether one file is giving way to the next: there is nothing to look at then. */
  #changing = false

  constructor(options: LogFilesOptions) {
    this.#options = options
  }

  /** Of the file that is written to. */
  get path(): string | undefined {
    return this.#file?.path
  }

  /** Begins the next file, with the line that says where in the chain it stands, and lets go of the one before. */
  async startNext(head: ChainHead): Promise<void> {
    this.#changing = true
    try {
      await this.#begin(head)
    } finally {
      this.#changing = false
    }
  }

  async #begin(head: ChainHead): Promise<void> {
    const { folder, chain, startedAtMs, process, syncToDisk = true } = this.#options
    await this.#letGo()
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const number = this.#number + 1
    const moment = new Date(startedAtMs).toISOString().replace(/[-:.]/g, '')
    const whose = process === undefined ? '' : `-p${process}`
    const path = join(folder, `audit-${moment}-${chain}${whose}-${String(number).padStart(6, '0')}.jsonl`)
    // It gets its name once its first line is in it: a file of that name that lacks the line was changed.
    const unnamed = `${path}.new`
    await rm(unnamed, { force: true })
    const handle = await open(unnamed, syncToDisk ? APPEND | constants.O_DSYNC : APPEND, 0o600)
    const { ino: inode } = await handle.stat()
    this.#file = { path, handle, inode, bytes: 0 }
    await this.append(Buffer.from(fileLine(head, number), 'utf8'))
    await rename(unnamed, path)
    this.#number = number
    await syncFolder(folder)
  }

  /** Whether the file should end here. After a checkpoint is the best moment: what is closed is then nearly covered by it. */
  isFull(afterCheckpoint: boolean): boolean {
    const { bytes = 0 } = this.#file ?? {}
    return bytes >= this.#options.maxBytes * (afterCheckpoint ? 1 : PATIENCE)
  }

  /** Rejects when not all of it is on the disk; what is there of it goes with {@link startNext}. */
  async append(lines: Buffer): Promise<void> {
    const file = this.#file
    if (file === undefined) throw new Error('no file is open')
    try {
      for (let written = 0; written < lines.length; ) {
        const bytesWritten = await this.#write(file.handle, lines, written)
        if (bytesWritten === 0) throw new Error('the disk takes no more')
        written += bytesWritten
      }
      file.bytes += lines.length
    } catch (error) {
      this.#torn = true
      throw error
    }
  }

  /**
   * A write that waits for the disk is another thread's. One that does not is a copy in memory: to hand it over and to be
   * woken again would cost more CPU than it does.
   */
  #write(handle: FileHandle, lines: Buffer, from: number): number | Promise<number> {
    if (this.#options.syncToDisk === false) return writeSync(handle.fd, lines, from)
    return handle.write(lines, from).then(({ bytesWritten }) => bytesWritten)
  }

  /** Rejects, saying what is wrong, when somebody else has removed, replaced, cut or lengthened the file. */
  async check(): Promise<void> {
    if (this.#changing) return
    const file = this.#file
    if (file === undefined) throw new Error('no file is open')
    const before = file.bytes
    const found = await stat(file.path).catch(() => undefined)
    if (this.#changing || this.#file !== file) return
    if (found === undefined) throw new Error(`${file.path} is gone`)
    if (found.ino !== file.inode) throw new Error(`${file.path} was replaced`)
    if (before === file.bytes && found.size < before) throw new Error(`${file.path} was cut`)
  }

  async close(): Promise<void> {
    await this.#letGo()
  }

  /** Takes back what a failed write has left. Rejects when that cannot be done: the chain would go on behind rubbish. */
  async #letGo(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    if (this.#torn) {
      await file.handle.truncate(file.bytes)
      await file.handle.sync()
      this.#torn = false
    }
    this.#file = undefined
    await file.handle.close()
  }
}

/** A name is durable only when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

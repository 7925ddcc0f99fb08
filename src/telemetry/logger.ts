/**
 * Logs: one JSON object a line on stderr, through winston. What may hold a secret is redacted by name before it is
 * written, wherever in the fields it stands; messages are fixed texts, so values go into fields.
 */
import winston from 'winston'
import { LOG_LEVELS, type LogLevel } from '../config/schema.ts'

export type LogFields = Readonly<Record<string, unknown>>

/** `event` is a fixed text; everything that varies is in the fields. */
export interface Logger {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  /** Whether a line of this level would be written, for callers that would otherwise build its fields in vain. */
  enabled(level: LogLevel): boolean
}

const SECRET_NAME =
  /plaintext|secret|password|passphrase|\bpin\b|authorization|signature|token$|private|ciphertext|blob|sealed|record$|signingkey/i
const REDACTED = '[redacted]'
const DEPTH_MAX = 6
const TEXT_MAX = 2_048

/** `always` stands in every line. */
export function createLogger(
  level: LogLevel,
  stream: NodeJS.WritableStream = process.stderr,
  always: LogFields = {},
): Logger {
  const logger = winston.createLogger({
    level,
    format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
    transports: [new winston.transports.Stream({ stream })],
  })
  const write = (severity: LogLevel) => (event: string, fields?: LogFields) => {
    logger.log({ ...always, ...(redact(fields ?? {}, 0) as object), level: severity, message: event })
  }
  const rank = LOG_LEVELS.indexOf(level)
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    enabled: asked => LOG_LEVELS.indexOf(asked) <= rank,
  }
}

/** A copy of a value that is safe to write: bytes and whatever is named like a secret are left out. */
function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.length > TEXT_MAX ? `${value.slice(0, TEXT_MAX)}…` : value
  if (value instanceof Uint8Array) return REDACTED
  if (value instanceof Error) return describeError(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEPTH_MAX) return '[…]'
  if (Array.isArray(value)) return value.map(member => redact(member, depth + 1))
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return Object.fromEntries(
    entries.map(([name, member]) => [name, SECRET_NAME.test(String(name)) ? REDACTED : redact(member, depth + 1)]),
  )
}

/** Name, message and stack of an error; of what it carries besides, only a code. */
function describeError(error: Error): LogFields {
  const { code } = error as { code?: unknown }
  const described = { name: error.name, message: error.message, stack: error.stack }
  return {
    ...described,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(error.cause instanceof Error ? { cause: describeError(error.cause) } : {}),
  }
}

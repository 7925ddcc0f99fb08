/** Reads a configuration file: YAML in, a checked and complete {@link Configuration} out, every fault at once with its path. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { type Configuration, configuration } from './schema.ts'

/** What is wrong with a configuration, one line a fault. Names fields, never their values. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
}

/** Throws {@link ConfigurationError}. A relative `stateDir` is taken from the file's own folder. */
export function loadConfiguration(path: string): Configuration {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const hint = code === 'ENOENT' ? ' (--config or STRONGROOM_CONFIG names the file)' : ''
    throw new ConfigurationError(`cannot read the configuration ${path}: ${code}${hint}`)
  }
  let document: unknown
  try {
    document = parse(text, { maxAliasCount: 100 })
  } catch (error) {
    throw new ConfigurationError(`${path} is not YAML: ${(error as Error).message}`)
  }
  return checkConfiguration(document, path)
}

/** The same for what has been parsed already; `path` is named in messages and is where relative folders start. */
export function checkConfiguration(document: unknown, path: string): Configuration {
  const parsed = configuration.safeParse(withAbsoluteStateDir(document, path))
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(issue => `  ${issue.path.map(String).join('.') || '(top)'}: ${issue.message}`)
  throw new ConfigurationError(`${path} has ${faults.length} fault(s):\n${faults.join('\n')}`)
}

function withAbsoluteStateDir(document: unknown, path: string): unknown {
  if (typeof document !== 'object' || document === null) return document
  const { stateDir } = document as { stateDir?: unknown }
  if (typeof stateDir !== 'string') return document
  return { ...document, stateDir: resolve(dirname(path), stateDir) }
}

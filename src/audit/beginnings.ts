/** Reads what the first event of a chain, `AuditLogStarted`, says of the chains before. */
import type { ChainBeginning, NamedEnd } from './chain-links.ts'

/** `event` is JSON. Undefined when it says nothing that can be read. */
export function readBeginning(event: Buffer): ChainBeginning | undefined {
  try {
    const { requestParameters: said } = JSON.parse(event.toString('utf8')) as {
      requestParameters: { previous?: unknown; others?: unknown; daemon?: unknown; process?: unknown }
    }
    const { previous, others = [], daemon, process } = said
    if (previous !== null && !isEnd(previous)) return undefined
    if (!Array.isArray(others) || !others.every(isEnd)) return undefined
    if (daemon !== undefined && typeof daemon !== 'string') return undefined
    return { previous, others, daemon, process: typeof process === 'number' ? process : undefined }
  } catch {
    return undefined
  }
}

function isEnd(value: unknown): value is NamedEnd {
  if (typeof value !== 'object' || value === null) return false
  const { chain, seq, hash } = value as Partial<NamedEnd>
  return typeof chain === 'string' && typeof seq === 'number' && typeof hash === 'string'
}

/**
 * An HSM host: the process that loads a token's PKCS#11 module, logs in, and serves the commands of the contract, one at
 * a time, until the daemon closes the channel. It knows nothing of HTTP, callers, policies or the key store.
 */
import { wipe } from '../../base/bytes.ts'
import type { CommandName } from '../contract/commands.ts'
import { HsmFault } from '../contract/fault.ts'
import {
  readConfiguration,
  readRequest,
  writeEvent,
  writeFault,
  writeNeedRecord,
  writeResult,
} from '../contract/frames.ts'
import { type HostConfiguration, type HostEvent, hostConfiguration } from '../contract/host-configuration.ts'
import { BackingKeys, NeedRecord } from './backing-keys.ts'
import { type Capabilities, probeCapabilities, profileOf } from './capabilities.ts'
import { HostChannel } from './channel.ts'
import { MessageCiphers } from './ciphers/message-ciphers.ts'
import { faultOf } from './ckr.ts'
import type { Handler, HostParts } from './commands/command.ts'
import { handlers } from './commands/index.ts'
import { DomainKeys } from './domain-keys.ts'
import { endWithParent, forbidDebugging } from './hardening.ts'
import { ResidentKeys } from './resident-keys.ts'
import { RsaDecryption } from './rsa-decryption.ts'
import { Sealing } from './sealing.ts'
import { Sessions } from './sessions.ts'
import { openToken, PinRefused } from './token.ts'

const MICROSECONDS_PER_MS = 1_000

forbidDebugging()
const channel = new HostChannel()
const spent: Buffer[] = []
let host: HostParts | undefined

channel.serve(
  frame => {
    if (host === undefined) host = start(hostConfiguration.parse(readConfiguration(frame)))
    else answer(host, frame)
  },
  () => wipe(...spent.splice(0)),
)

/** Opens the token and says so; a host that cannot, says why and ends. */
function start(configuration: HostConfiguration): HostParts {
  try {
    const { parts, capabilities } = compose(configuration)
    endWithParent()
    announce({ type: 'ready', profile: profileOf(parts.token, capabilities) })
    return parts
  } catch (error) {
    const fault = faultOf(error)
    announce({ type: 'failed', kind: fault.kind, reason: fault.reason, retry: !(fault instanceof PinRefused) })
    channel.flush()
    process.exit(1)
  }
}

function compose(configuration: HostConfiguration): { parts: HostParts; capabilities: Capabilities } {
  const token = openToken(configuration.token)
  const { cryptoki } = token
  const sessions = new Sessions(token)
  const { capabilities, domain, macCheckValue } = sessions.withSession(session => {
    const capabilities = probeCapabilities(token, session)
    const domain = new DomainKeys(cryptoki, session, configuration.domain, capabilities.wrap?.mechanism)
    return { capabilities, domain, macCheckValue: domain.macCheckValue(session) }
  })
  const ciphers = new MessageCiphers({ cryptoki, sessions }, capabilities)
  const resident = new ResidentKeys(token, domain.id)
  const backingKeys = new BackingKeys({ cryptoki, sessions, domain, capabilities, ciphers, resident }, configuration)
  const sealing = new Sealing({ cryptoki, sessions, ciphers })
  const rsa = new RsaDecryption(cryptoki)
  const wipeLater = (bytes: Buffer) => void spent.push(bytes)
  const parts = { token, sessions, domain, backingKeys, resident, sealing, rsa, macCheckValue, wipeLater }
  return { parts, capabilities }
}

function answer(parts: HostParts, frame: Buffer): void {
  const { id, name, args } = readRequest(frame)
  const startedAt = performance.now()
  const elapsed = () => Math.round((performance.now() - startedAt) * MICROSECONDS_PER_MS)
  try {
    const result = (handlers[name] as Handler<CommandName>)(parts, args)
    writeResult(channel.writer, id, elapsed(), name, result)
  } catch (error) {
    if (error instanceof NeedRecord) {
      writeNeedRecord(channel.writer, id)
      return
    }
    if (!(error instanceof HsmFault)) throw error
    // Handles may have gone with the session: none is used again before its EKT is verified and unwrapped anew.
    if (error.kind === 'session') parts.backingKeys.clear()
    writeFault(channel.writer, id, elapsed(), error)
  }
}

function announce(event: HostEvent): void {
  writeEvent(channel.writer, event)
}

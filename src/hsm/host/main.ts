/**
 * An HSM host: the process that loads a token's PKCS#11 module, logs in, and serves the commands of the contract, on one
 * thread or several, until the daemon closes its channels. It knows nothing of HTTP, callers, policies or the key store.
 */
import { readConfiguration, writeEvent } from '../contract/frames.ts'
import { type CompleteHostConfiguration, type HostEvent, hostConfiguration } from '../contract/host-configuration.ts'
import { HostChannel } from './channel.ts'
import { faultOf } from './ckr.ts'
import { endWithParent, forbidDebugging } from './hardening.ts'
import { Lane } from './lane.ts'
import { SESSIONS_PER_LANE } from './sessions.ts'
import { serveByThreads } from './threads.ts'
import { openToken, PinRefused, sessionLimit, type Token, unload } from './token.ts'

forbidDebugging()
const channel = new HostChannel()

for (let frame = channel.next(); frame !== undefined; frame = channel.next()) {
  const configuration = hostConfiguration.parse(readConfiguration(frame))
  try {
    await serve(configuration)
    break
  } catch (error) {
    const refused = error instanceof PinRefused
    const fault = faultOf(error)
    announce({ type: 'failed', kind: fault.kind, reason: fault.reason, retry: !refused })
    // A token that turned the PIN down is not asked again; any other failure may pass, and the daemon says when to look.
    if (refused) break
    unload()
  }
}
process.exit(0)

/** Opens the token and serves until the daemon closes the channels. Throws HsmFault when the token cannot be opened. */
async function serve(configuration: CompleteHostConfiguration): Promise<void> {
  const token = openToken(configuration.token, { oneThread: configuration.threads === 1 })
  const lane = new Lane(token, configuration, { mayLogIn: true })
  const lanes = Math.min(configuration.threads, lanesWithin(token, configuration))
  const threads = lanes > 1 ? await serveByThreads(token, { ...configuration, threads: lanes }) : undefined
  endWithParent()
  announce({ type: 'ready', profile: lane.profile, lanes })
  if (threads === undefined) lane.serve(channel)
  else await threads.ended
}

/** How many lanes this host's share of the sessions suffices for. One is always tried. */
function lanesWithin(token: Token, { sessions: { limit, shares } }: CompleteHostConfiguration): number {
  const allowed = Math.min(sessionLimit(token), limit === 0 ? Number.POSITIVE_INFINITY : limit)
  // With threads the main thread has sessions too, which keep the login.
  return Math.max(1, Math.floor(allowed / shares / SESSIONS_PER_LANE) - 1)
}

function announce(event: HostEvent): void {
  writeEvent(channel.writer, event)
  channel.flush()
}

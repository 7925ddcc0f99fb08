/** What a pool writes to the log, each line with its region. */
import type { Logger } from '../../telemetry/logger.ts'
import type { TokenProfile } from '../contract/token-profile.ts'
import type { Host } from './host.ts'
import type { Member } from './member.ts'

export class PoolLog {
  readonly #logger: Logger
  readonly #region: string

  constructor(logger: Logger, region: string) {
    this.#logger = logger
    this.#region = region
  }

  stateChanged({ state, label: hsm, circuit }: Member): void {
    const fields = { region: this.#region, hsm, state, reason: circuit.reason }
    if (state === 'open' || state === 'locked-out') this.#logger.error('HSM changed its state', fields)
    else if (state === 'degraded') this.#logger.warn('HSM changed its state', fields)
    else this.#logger.info('HSM changed its state', fields)
  }

  /** By a name of its own for what a log leaves out when it is called private. */
  profiled({ label: hsm }: Member, { privateKeys: keyPairs, ...profile }: TokenProfile): void {
    this.#logger.info('HSM profile', { region: this.#region, hsm, profile: { ...profile, keyPairs } })
  }

  output({ label: hsm }: Member, line: string): void {
    this.#logger.warn('output of an HSM host', { region: this.#region, hsm, line })
  }

  left({ label: hsm }: Member): void {
    this.#logger.info('HSM has left the pool', { region: this.#region, hsm })
  }

  /** `error` says why it could not be. */
  recycled({ label: hsm }: Member, { pid }: Host, reason: string, error?: Error): void {
    const fields = { region: this.#region, hsm, pid, reason }
    if (error === undefined) this.#logger.info('HSM host was replaced by a fresh one', fields)
    else this.#logger.warn('HSM host could not be replaced', { ...fields, error: error.message })
  }

  domainUnread(error: unknown): void {
    this.#logger.error('domain could not be read again', { region: this.#region, error })
  }
}

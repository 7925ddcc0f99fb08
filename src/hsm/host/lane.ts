/**
 * One lane of a host: reads a command, does it, answers, with sessions and HBKs of its own, on a thread that does nothing
 * else. What a lost session or login takes with it is opened anew here, once, before anybody is told of it.
 */
import { wipe } from '../../base/bytes.ts'
import { type Args, type CommandName, commands, type Result } from '../contract/commands.ts'
import { HsmFault, STALE_DOMAIN } from '../contract/fault.ts'
import { readRequest, writeEvent, writeFault, writeNeedRecord, writeResult } from '../contract/frames.ts'
import type { CompleteHostConfiguration, DomainDescription, HostEvent } from '../contract/host-configuration.ts'
import type { TokenProfile } from '../contract/token-profile.ts'
import { AuditKey, LaneHistory } from './audit-key.ts'
import { BackingKeys, NeedRecord } from './backing-keys.ts'
import { Canary } from './canary.ts'
import { type Capabilities, chooseCapabilities } from './capabilities.ts'
import type { HostChannel } from './channel.ts'
import { MessageCiphers } from './ciphers/message-ciphers.ts'
import { faultOf, isAmbiguous, repairOf } from './ckr.ts'
import type { Handler, HostParts } from './commands/command.ts'
import { handlers } from './commands/index.ts'
import { DomainKeys } from './domain-keys.ts'
import { Domains, type HostDomain } from './domains.ts'
import { EktRecords } from './ekt-records.ts'
import { HbkLoader } from './hbk-loader.ts'
import { HbkMaker } from './hbk-maker.ts'
import { Imports } from './imports.ts'
import { MaterialImport } from './material-import.ts'
import { type Examination, examineToken } from './profile/examine.ts'
import { ResidentKeys } from './resident-keys.ts'
import { RsaDecryption } from './rsa-decryption.ts'
import { Sealing } from './sealing.ts'
import { Sessions } from './sessions.ts'
import { PinRefused, type Token } from './token.ts'

type SpanOutcome = Extract<HostEvent, { type: 'span' }>['outcome']

const MICROSECONDS_PER_MS = 1_000

export class Lane {
  readonly #token: Token
  readonly #configuration: CompleteHostConfiguration
  readonly #spent: Buffer[] = []
  readonly #history = new LaneHistory()
  #examination: Examination | undefined
  #parts: HostParts

  /** Opens the lane's sessions and finds the domain's keys; with `mayLogIn` it logs in when nobody has. Throws HsmFault. */
  constructor(token: Token, configuration: CompleteHostConfiguration, { mayLogIn }: { mayLogIn: boolean }) {
    this.#token = token
    this.#configuration = configuration
    this.#parts = this.#compose(mayLogIn)
  }

  get profile(): TokenProfile {
    return (this.#examination as Examination).profile
  }

  /** Serves until the daemon closes the channel. Throws {@link PinRefused} when the login is lost and the PIN turned down. */
  serve(channel: HostChannel): void {
    channel.serve(
      frame => this.#answer(channel, frame),
      () => wipe(...this.#spent.splice(0)),
    )
  }

  #answer(channel: HostChannel, frame: Buffer): void {
    const { id, name, args, trace } = readRequest(frame)
    this.#history.count(name)
    const startedAt = performance.now()
    const elapsed = () => Math.round((performance.now() - startedAt) * MICROSECONDS_PER_MS)
    try {
      const result = this.#run(name, args)
      writeResult(channel.writer, id, elapsed(), name, result)
      if (trace !== undefined) tellSpan(channel, { trace, name, startedAt, outcome: 'ok' })
    } catch (error) {
      if (error instanceof NeedRecord) writeNeedRecord(channel.writer, id)
      else if (error instanceof HsmFault && !(error instanceof PinRefused)) {
        writeFault(channel.writer, id, elapsed(), error)
      } else throw error
      if (trace !== undefined) {
        tellSpan(channel, { trace, name, startedAt, outcome: error instanceof HsmFault ? error.kind : 'need-record' })
      }
    }
  }

  /** One that met a fault which the host can repair is done again, unless it may have left something behind. */
  #run(name: CommandName, args: Args<CommandName>): Result<CommandName> {
    const handler = handlers[name] as Handler<CommandName>
    try {
      return handler(this.#parts, args)
    } catch (error) {
      if (!(error instanceof HsmFault)) throw error
      const repair = repairOf(error)
      if (repair === 'reopen') this.#reopen()
      else if (isAmbiguous(error)) this.#parts.canary.prove()
      else if (repair === undefined) throw error
      if (commands[name].once) throw error
      return isAmbiguous(error) ? handler(this.#parts, args) : this.#runRepaired(handler, args)
    }
  }

  /** A refusal that may be trouble of the token is the caller's when the known answer says that the token is well. */
  #runRepaired(handler: Handler<CommandName>, args: Args<CommandName>): Result<CommandName> {
    try {
      return handler(this.#parts, args)
    } catch (error) {
      if (error instanceof HsmFault && isAmbiguous(error)) this.#parts.canary.prove()
      throw error
    }
  }

  /** The old sessions are closed last: a token forgets its login with the last session of a process. */
  #reopen(): void {
    const { sessions } = this.#parts
    this.#parts = this.#compose(this.#configuration.logsInAgain)
    sessions.close()
  }

  #compose(mayLogIn: boolean): HostParts {
    const token = this.#token
    const { cryptoki } = token
    const sessions = new Sessions(token, mayLogIn)
    try {
      const { token: location } = this.#configuration
      const examination =
        this.#examination ?? sessions.withSession(session => examineToken(token, session, location.profile))
      const domains = sessions.withSession(session => this.#findDomains(session, examination))
      const { keys: domain, capabilities } = domains.region
      this.#examination = examination
      const macCheckValue = sessions.withSession(session => domains.macCheckValue(session))
      const { threads, cachedHbks, hbkLifetimeMs } = this.#configuration
      const limits = { cachedHbks: Math.max(1, Math.floor(cachedHbks / threads)), hbkLifetimeMs }
      const ciphers = new MessageCiphers({ cryptoki, sessions }, capabilities)
      const resident = new ResidentKeys(token, domain.id)
      const records = new EktRecords({ sessions, domains })
      const hbkParts = { cryptoki, sessions, domains, ciphers, resident, records }
      const hbkMaker = new HbkMaker(hbkParts)
      const backingKeys = new BackingKeys(new HbkLoader(hbkParts), limits)
      const sealing = new Sealing({ cryptoki, sessions, ciphers })
      const rsa = new RsaDecryption(cryptoki, capabilities.profile.oaepHashes)
      const inHostAllowed = this.#configuration.importInHost
      const material = new MaterialImport({ cryptoki, rsa, capabilities }, { inHostAllowed })
      const imports = new Imports({ cryptoki, sessions, domain, hbkMaker, backingKeys, material })
      const canary = new Canary({ hbkMaker, backingKeys, sealing }, { multiRegion: domains.multiRegion !== undefined })
      const auditKey = new AuditKey({ token, sessions, domainId: domain.id, history: this.#history })
      const wipeLater = (bytes: Buffer) => void this.#spent.push(bytes)
      const ways = { backingKeys, hbkMaker, resident, sealing, rsa, imports, canary, auditKey }
      return { token, sessions, domain, domains, ...ways, macCheckValue, wipeLater }
    } catch (error) {
      sessions.close()
      throw faultOf(error)
    }
  }

  #findDomains(session: Buffer, examination: Examination): Domains {
    const { domain, multiRegionDomain } = this.#configuration
    const find = (description: DomainDescription): HostDomain => {
      const capabilities = chooseCapabilities(examination, description.schemes)
      return { capabilities, keys: this.#findDomain(session, description, capabilities) }
    }
    return new Domains(find(domain), multiRegionDomain && find(multiRegionDomain))
  }

  /** A domain key that was there when the lane was opened and is gone may have been retired: the daemon looks. */
  #findDomain(session: Buffer, description: DomainDescription, { wrap }: Capabilities): DomainKeys {
    try {
      return new DomainKeys(this.#token.cryptoki, session, description, wrap?.mechanism)
    } catch (error) {
      if (this.#examination === undefined || !(error instanceof HsmFault)) throw error
      throw new HsmFault('token', STALE_DOMAIN, { cause: error })
    }
  }
}

/** Tells the service of a command that is traced, behind its answer. */
function tellSpan(
  channel: HostChannel,
  { trace, name, startedAt, outcome }: { trace: Buffer; name: CommandName; startedAt: number; outcome: SpanOutcome },
): void {
  const event: HostEvent = {
    ...{ type: 'span', context: trace.toString('hex'), command: name, outcome },
    startedAtMs: performance.timeOrigin + startedAt,
    durationMs: performance.now() - startedAt,
  }
  writeEvent(channel.writer, event)
}

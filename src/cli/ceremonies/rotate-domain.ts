/**
 * Rotating a domain: the next version of its domain key and MAC key, and every EKT record re-wrapped under it, in the order of
 * security.md 4.1. Each step is stored before the next begins, so a rotation that was cut off goes on where it stopped; nothing
 * that was readable before it ceases to be during it. The daemon serves all the while.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { RowRefused } from '../../store/faults.ts'
import type { Domain, DomainKeyVersion, EnrolledToken } from '../../store/store.ts'
import { CommandFailed } from '../admin-client.ts'
import { newVersion, withCheckValues } from './create-domain.ts'
import {
  type CeremonyParts,
  changeDomain,
  commit,
  optionFor,
  type RegionConfiguration,
  requireDomain,
} from './parts.ts'
import { describeUnserved, unservedKeys } from './served-keys.ts'
import { type SweepProgress, sweepEkts } from './sweep.ts'
import {
  forksOf,
  nameOf,
  type OpenedToken,
  OpenTokens,
  openToken,
  requireHeld,
  requireOpening,
  requireSameKeys,
  writeVersionOf,
} from './tokens.ts'
import { transferKeys, trustNeedsOfficer } from './transfer.ts'

export interface RotationParts extends CeremonyParts {
  /** How long daemons get to take the new version up before the barrier rises. */
  readonly settleMs?: number
  readonly onProgress?: (progress: SweepProgress) => void
  /** Told of every step once it is done, and waited for: tests stop a rotation there. */
  readonly onStep?: (step: string) => void | Promise<void>
}

/**
 * Daemons look at the row twice a second and then replace their hosts. Whoever is later than this has commands that make keys
 * wait for its fresh hosts; nothing depends on it otherwise.
 */
const SETTLE_MS = 3_000

/** Records whose MACs are made anew in one transaction. */
const ROWS_AT_ONCE = 256

interface Rotating {
  readonly parts: RotationParts
  readonly tokens: readonly OpenedToken[]
  /** The token that makes the new version, and that records are re-wrapped in. */
  readonly source: OpenedToken
}

/** Begins a rotation, or goes on with the one that is under way. Throws HsmFault and {@link CommandFailed}. */
export async function rotateDomain(parts: RotationParts, region: RegionConfiguration): Promise<Domain> {
  let domain = await requireDomain(parts, region.name)
  if (domain.schemes.wrapScheme === 'resident')
    throw new CommandFailed(
      `${region.name}: the keys of this domain reside in their tokens: it has no domain key to rotate`,
    )
  await using open = await OpenTokens.reachable(region.tokens, parts.logger)
  const tokens = requireEveryToken(domain, open)
  const source = await chooseSource(parts, domain, tokens)
  // No version is made for records that cannot be brought under it.
  await requireOpening(domain, source)
  // Whoever has no SO PIN learns it before anything has changed.
  if (trustNeedsOfficer(source))
    await source.ceremony.call('proveOfficer', { officerPin: await parts.officerPin(region.name) })
  let rotating: Rotating = { parts, tokens, source }
  if (domain.rotation !== undefined)
    parts.say(`${region.name}: going on with a rotation at step ${domain.rotation.step}`)
  if (domain.rotation === undefined || domain.rotation.step === 'making') {
    domain = await claim(rotating, domain)
    domain = await makeVersion(rotating, domain)
  } else {
    for (const token of tokens) await requireHeld(domain, token)
  }
  if (parts.unsigned === true) {
    const what = 'signed what a key store from before a rotation says of the domain'
    await commit(parts, region.name, what, tx => tx.adoptDomain(region.name))
    rotating = { ...rotating, parts: { ...parts, unsigned: false } }
  }
  if (domain.rotation?.step === 'barrier') domain = await raiseBarrier(rotating, domain)
  return await finish(rotating, domain)
}

/** The version that a rotation leaves behind. */
export function leftVersionOf({ rotation }: Domain): number {
  if (rotation === undefined) throw new RangeError('no rotation is under way')
  return rotation.to - 1
}

/** An enrolled token that is absent would miss the new version and keep on making under the old one. */
function requireEveryToken(domain: Domain, open: OpenTokens): OpenedToken[] {
  const reached = open.enrolledIn(domain)
  const absent = domain.tokens.filter(
    ({ serial, state }) => state === 'enrolled' && !reached.some(token => token.serial === serial),
  )
  if (absent.length === 0) return reached
  const reasons = open.unreachable.map(({ label, reason }) => ` ("${label}": ${reason})`).join('')
  throw new CommandFailed(
    `${domain.region}: a rotation needs every enrolled token, and ${absent.map(nameOf).join(', ')} cannot be reached${reasons}. ` +
      `Bring it back, or take it out of the domain first: strongroom domain retire ${optionFor(domain.region)} --token ${absent[0]?.serial}`,
  )
}

/** A token that can open every record, for all go through it. Throws {@link CommandFailed} when none can. */
async function chooseSource(
  parts: RotationParts,
  domain: Domain,
  tokens: readonly OpenedToken[],
): Promise<OpenedToken> {
  const against: string[] = []
  for (const token of tokens) {
    const unserved = await unservedKeys(parts, domain, token)
    if (unserved.size === 0) return token
    against.push(`${nameOf(token)} cannot open ${describeUnserved(unserved, token)}`)
  }
  const why = against.length === 0 ? 'no enrolled token can be reached' : `no token can re-wrap: ${against.join('; ')}`
  throw new CommandFailed(`${domain.region}: ${why}`)
}

/**
 * Step 0. The row names the new version, by number and 16 random bytes, before any token makes it. A rotation that was cut off
 * while it made one begins anew with other bytes: whatever else was making the former ones cannot commit them.
 */
async function claim({ parts, tokens }: Rotating, domain: Domain): Promise<Domain> {
  const unfinished = ({ state }: DomainKeyVersion) => state === 'making'
  const former = forksOf(domain, unfinished)
  for (const token of tokens) await token.ceremony.call('destroyVersions', { domain: former, objects: 'all' })
  const to = writeVersionOf(domain) + 1
  const known = domain.versions.filter(version => !unfinished(version))
  const claimed = await changeDomain(
    parts,
    domain,
    {
      rotation: { to, step: 'making', startedAtMs: domain.rotation?.startedAtMs ?? parts.clock() },
      versions: [...known, newVersion('dk', to, 'making'), newVersion('mac', to, 'making')],
    },
    `began to rotate to version ${to}`,
  )
  await parts.onStep?.('claimed')
  return claimed
}

/** Steps 1 and 2. Every token holds the new version and has shown its check value before the row makes hosts write under it. */
async function makeVersion({ parts, tokens, source }: Rotating, domain: Domain): Promise<Domain> {
  const { region } = domain
  const to = writeVersionOf(domain) + 1
  const keys = forksOf(domain, ({ state }) => state === 'making')
  const made = await source.ceremony.call('createDomain', keys)
  const versions = withCheckValues(domain.versions, made)
  const expected = { ...domain, versions }
  parts.say(`${region}: made version ${to} in token ${nameOf(source)}`)
  await parts.onStep?.('made')
  for (const token of tokens) {
    if (token === source) continue
    const transfer = await transferKeys(parts, region, { from: source, to: token, keys, witnessed: true })
    await token.ceremony.call('importDomain', { domain: keys, makes: to, transfer })
    parts.say(`${region}: moved version ${to} to token ${nameOf(token)}`)
    await parts.onStep?.(`moved to ${token.label}`)
  }
  for (const token of tokens) {
    const held = await token.ceremony.call('describeDomain', keys)
    withCheckValues(domain.versions, held)
    requireSameKeys(expected, held, token)
  }
  const committed = await changeDomain(
    parts,
    domain,
    {
      rotation: { ...rotationOf(domain), step: 'barrier' },
      versions: versions.map(version => (version.state === 'making' ? { ...version, state: 'active' } : version)),
      tokens: domain.tokens.map(token => (token.state === 'enrolled' ? holding(token, to) : token)),
    },
    `version ${to} is in every token; new records are made under it`,
  )
  await parts.onStep?.('committed')
  return committed
}

/** Step 3. Nothing can be made under the old version any more, however stale a daemon's view is. */
async function raiseBarrier({ parts, tokens }: Rotating, domain: Domain): Promise<Domain> {
  const left = leftVersionOf(domain)
  const keys = forksOf(domain, ({ version }) => version === left)
  await sleep(parts.settleMs ?? SETTLE_MS)
  for (const token of tokens) {
    await token.ceremony.call('destroyVersions', { domain: keys, objects: 'makes' })
    await parts.onStep?.(`barrier in ${token.label}`)
  }
  const barred = await changeDomain(
    parts,
    domain,
    { rotation: { ...rotationOf(domain), step: 'sweeping' } },
    `nothing can be made under version ${left} any more`,
  )
  parts.say(`${domain.region}: nothing can be made under version ${left} any more`)
  await parts.onStep?.('barred')
  return barred
}

/** Steps 4 and 5. The count of what is left and the end of the rotation are one transaction. */
async function finish(rotating: Rotating, domain: Domain): Promise<Domain> {
  const { parts } = rotating
  const { region } = domain
  const left = leftVersionOf(domain)
  if ((await parts.store.reader.countEkts(region, left)) > 0) await sweep(rotating, domain)
  await renewRowMacs(parts, region, left + 1)
  const sweptAtMs = parts.clock()
  const versions = domain.versions.map(version => (version.version === left ? { ...version, sweptAtMs } : version))
  const finished = await changeDomain(
    parts,
    domain,
    { rotation: undefined, versions },
    `rotated to version ${left + 1}: no record is under version ${left}`,
    async tx => {
      const remaining = await tx.countEkts(region, left)
      const signed = await tx.countRowMacsBelow(region, left + 1)
      if (remaining + signed > 0)
        throw new CommandFailed(`${region}: ${remaining + signed} records are under version ${left} again`)
    },
  )
  await parts.onStep?.('finished')
  return finished
}

/** The MACs of all records: the version that is left could not be withdrawn while any is under it. */
async function renewRowMacs({ store, onProgress }: RotationParts, region: string, version: number): Promise<void> {
  const total = await store.reader.countRowMacsBelow(region, version)
  try {
    for (let done = 0; ; ) {
      const renewed = await store.rowMacs.renew(region, version, ROWS_AT_ONCE)
      if (renewed === 0) break
      done += renewed
      onProgress?.({ done, total: Math.max(done, total) })
    }
  } catch (error) {
    if (!(error instanceof RowRefused)) throw error
    throw new CommandFailed(`${region}: a record was changed by hand, and the rotation stays open: ${error.message}`)
  }
}

/** A second process on the source token holds the twin: the SO's log-in at the first would take its session objects away. */
async function sweep({ parts, source }: Rotating, domain: Domain): Promise<void> {
  const { region } = domain
  const left = leftVersionOf(domain)
  await using processes = new AsyncDisposableStack()
  const rewrapper = await openToken(source.location, processes, parts.logger)
  const { schemes } = domain
  const keys = { ...forksOf(domain, ({ version }) => version === left), macKeys: [] }
  const transfer = await transferKeys(parts, region, { from: source, to: rewrapper, keys, witnessed: false })
  const of = (kind: DomainKeyVersion['kind']) =>
    domain.versions
      .filter(version => version.kind === kind && version.version >= left && version.state === 'active')
      .map(({ version, forkId, checkValue }) => ({ version, forkId, checkValue }))
  const description = { id: domain.id, region, schemes, domainKeys: of('dk'), macKeys: of('mac') }
  await rewrapper.ceremony.call('beginRewrap', { domain: description, transfer })
  await parts.onStep?.('twin made')
  await sweepEkts({ ...parts, rewrapper: rewrapper.ceremony }, region, left)
}

function rotationOf({ rotation }: Domain): NonNullable<Domain['rotation']> {
  if (rotation === undefined) throw new RangeError('no rotation is under way')
  return rotation
}

function holding(token: EnrolledToken, version: number): EnrolledToken {
  return { ...token, versions: [...token.versions, version] }
}

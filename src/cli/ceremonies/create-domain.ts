/** A domain's keys, generated in a first token. An interrupted creation is begun again under the same id. */
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { DomainInToken } from '../../hsm/contract/ceremony.ts'
import type { Schemes } from '../../hsm/contract/token-profile.ts'
import type { Domain, DomainKeyVersion, EnrolledToken } from '../../store/domain.ts'
import { CommandFailed } from '../admin-client.ts'
import { type CeremonyParts, changeDomain, commit } from './parts.ts'
import { forksOf, keysIn, nameOf, type OpenedToken } from './tokens.ts'

const FIRST_VERSION = 1
const ID_BYTES = 16

/** `unfinished` is what an interrupted creation left. */
export async function createDomain(
  parts: CeremonyParts,
  region: string,
  unfinished: Domain | undefined,
  token: OpenedToken,
  schemes: Schemes,
): Promise<Domain> {
  const { clock, say } = parts
  const resumed = unfinished !== undefined && isDeepStrictEqual(unfinished.schemes, schemes)
  const started = resumed
    ? unfinished
    : { ...newDomain(region, schemes, clock()), generation: (unfinished?.generation ?? 0) + 1 }
  if (!resumed) await commit(parts, region, `began domain ${started.id}`, tx => tx.putDomain(started))
  await token.ceremony.call('discardDomain', { domainId: started.id })
  const made = await token.ceremony.call('createDomain', forksOf(started))
  const domain = await changeDomain(
    parts,
    started,
    {
      state: 'ready',
      sealed: made.sealed === true,
      versions: withCheckValues(started.versions, made),
      tokens: [enrolledToken(token, made, clock())],
    },
    `created domain ${started.id} in token ${nameOf(token)}`,
  )
  say(`${region}: created domain ${domain.id} in token ${nameOf(token)}`)
  if (schemes.wrapScheme === 'resident')
    say(`${region}: token "${token.label}" cannot wrap keys: each key will reside in one token and nowhere else`)
  return domain
}

/** A version that nobody holds yet. Its 16 random bytes tell it apart from any other of its number. */
export function newVersion(
  kind: DomainKeyVersion['kind'],
  version: number,
  state: DomainKeyVersion['state'],
): DomainKeyVersion {
  const forkId = randomBytes(ID_BYTES).toString('hex')
  return { kind, version, forkId, checkValue: '0'.repeat(16), state, sweptAtMs: undefined }
}

/** The versions with the check values that a token has read. Throws {@link CommandFailed} when it could not read one. */
export function withCheckValues(versions: readonly DomainKeyVersion[], held: DomainInToken): DomainKeyVersion[] {
  return versions.map(version => {
    const key = keysIn(held).find(({ kind, version: number }) => kind === version.kind && number === version.version)
    if (key === undefined) return version
    if (key.checkValue === null || !key.uses)
      throw new CommandFailed(`the token does not hold ${version.kind}.${version.version}, which it was asked to make`)
    return { ...version, checkValue: key.checkValue }
  })
}

/** The row of a token that holds what it was asked about. */
export function enrolledToken(token: OpenedToken, held: DomainInToken, nowMs: number): EnrolledToken {
  const { serial, label } = token
  return {
    ...{ serial, label, state: 'enrolled', enrolledAtMs: nowMs },
    auditPublicKey: Buffer.from(held.auditPublicKey ?? '', 'base64'),
    sealed: held.sealed === true,
    versions: held.macKeys.map(({ version }) => version),
  }
}

/** A domain without domain keys is one of tokens that cannot wrap: its HBKs reside in them. */
function newDomain(region: string, schemes: Schemes, nowMs: number): Domain {
  const mac = newVersion('mac', FIRST_VERSION, 'active')
  return {
    id: randomBytes(ID_BYTES).toString('hex'),
    region,
    state: 'creating',
    sealed: false,
    schemes,
    createdAtMs: nowMs,
    generation: 1,
    rotation: undefined,
    versions: schemes.wrapScheme === 'resident' ? [mac] : [newVersion('dk', FIRST_VERSION, 'active'), mac],
    tokens: [],
  }
}

/** Records for tests of the key store: whole, distinct, and of the model's own types. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EktFields, encodeEkt } from '../../../src/formats/ekt.ts'
import { residentCkaId } from '../../../src/formats/resident-key.ts'
import { policyArn, userArn } from '../../../src/model/arn.ts'
import type { Approval, ApprovalRequest, Officer } from '../../../src/model/dual-control.ts'
import type { Grant, GrantConstraints } from '../../../src/model/grant.ts'
import type { AccessKey, Identity, ManagedPolicy } from '../../../src/model/identity.ts'
import { type Alias, arnOf, type Ekt, type KeyMaterial, type KmsKey } from '../../../src/model/key.ts'
import { kidOf, newKeyId } from '../../../src/model/key-id.ts'
import type { Domain } from '../../../src/store/domain.ts'
import type { DaemonKey, ResidentObject, Scope } from '../../../src/store/records.ts'

export const SCOPE: Scope = { region: 'on-prem-1', account: '000000000001' }

export function makeTemporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'strongroom-store-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export function makeEkt(bytes = 300): Ekt {
  const record = randomBytes(bytes)
  return { record, digest: createHash('sha256').update(record).digest() }
}

export function makeMaterial(state: KeyMaterial['state'] = 'CURRENT', createdAtMs = 1_000): KeyMaterial {
  return { id: randomBytes(32).toString('hex'), state, createdAtMs, ekt: makeEkt() }
}

export function makeKey(changes: Partial<KmsKey> = {}, materials: readonly KeyMaterial[] = [makeMaterial()]): KmsKey {
  const id = changes.id ?? newKeyId()
  const scope = { region: changes.region ?? SCOPE.region, account: changes.account ?? SCOPE.account }
  return {
    ...scope,
    id,
    arn: arnOf({ ...scope, id }),
    kid: kidOf(id),
    spec: 'SYMMETRIC_DEFAULT',
    usage: 'ENCRYPT_DECRYPT',
    origin: 'AWS_KMS',
    state: 'Enabled',
    description: 'a description with "quotes" and ünïcödé',
    policy: '{"Version":"2012-10-17"}',
    policyPrincipals: new Map([['arn:aws:iam::000000000001:user/alice', 'AIDA']]),
    createdAtMs: 1_700_000_000_000,
    deletionAtMs: undefined,
    generation: 1,
    materials: new Map(materials.map(material => [material.id, material])),
    current: materials.find(material => material.state === 'CURRENT')!,
    tags: [],
    aliases: [],
    grants: [],
    ...changes,
  }
}

export function makeGrant(constraints: GrantConstraints = {}): Grant {
  return {
    id: randomBytes(32).toString('hex'),
    name: '',
    grantee: 'arn:aws:iam::000000000001:user/alice',
    retiring: 'arn:aws:iam::000000000001:user/bob',
    operations: ['Encrypt', 'Decrypt'],
    constraints,
    principalIds: new Map([['arn:aws:iam::000000000001:user/alice', 'AIDA']]),
    issuingAccount: SCOPE.account,
    createdAtMs: 9,
    tokenSeed: randomBytes(32),
  }
}

export function makeAlias(key: KmsKey, name = 'alias/one'): Alias {
  return { region: key.region, account: key.account, name, keyId: key.id, createdAtMs: 1, updatedAtMs: 1 }
}

export function makeIdentity(name = 'alice', changes: Partial<Identity> = {}): Identity {
  const { account } = SCOPE
  return {
    principalId: `AIDA${randomBytes(9).toString('hex').slice(0, 17).toUpperCase()}`,
    account,
    kind: 'user',
    path: '/team/',
    name,
    arn: userArn(account, '/team/', name),
    createdAtMs: 5,
    generation: 1,
    tags: new Map(),
    inlinePolicies: new Map(),
    attachedPolicies: [],
    boundary: undefined,
    groups: [],
    role: undefined,
    actsFor: [],
    ...changes,
  }
}

export function makeManagedPolicy(name = 'Readers', document = '{"managed":1}'): ManagedPolicy {
  const { account } = SCOPE
  return {
    id: `ANPA${randomBytes(9).toString('hex').slice(0, 17).toUpperCase()}`,
    account,
    path: '/team/',
    name,
    arn: policyArn(account, '/team/', name),
    description: '',
    createdAtMs: 5,
    generation: 1,
    versions: new Map([[1, { document, createdAtMs: 5 }]]),
    defaultVersion: 1,
  }
}

export function makeAccessKey(identity: Identity, createdAtMs = 7): AccessKey {
  return {
    id: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
    principalId: identity.principalId,
    active: true,
    sealedSecret: randomBytes(90),
    createdAtMs,
  }
}

export function makeDomain(): Domain {
  const version = (kind: 'dk' | 'mac', number: number) => ({
    ...{ kind, version: number, forkId: randomBytes(16).toString('hex'), checkValue: randomBytes(8).toString('hex') },
    ...{ state: 'active' as const, sweptAtMs: undefined },
  })
  return {
    id: randomBytes(16).toString('hex'),
    region: SCOPE.region,
    state: 'ready',
    sealed: true,
    schemes: { wrapScheme: 'RFC3394', kdf: 'SP800-108-HMAC-SHA256' },
    createdAtMs: 11,
    generation: 1,
    rotation: undefined,
    versions: [version('dk', 1), version('dk', 2), version('mac', 1), version('mac', 2)],
    tokens: [
      {
        serial: 'b',
        label: 'first',
        state: 'enrolled',
        auditPublicKey: randomBytes(91),
        enrolledAtMs: 12,
        versions: [1, 2],
        sealed: true,
      },
      {
        serial: 'a',
        label: 'second',
        state: 'enrolling',
        auditPublicKey: Buffer.alloc(0),
        enrolledAtMs: 13,
        versions: [],
        sealed: false,
      },
    ],
  }
}

export function makeDaemonKey(): DaemonKey {
  return { purpose: 'identity', region: SCOPE.region, kid: kidOf(newKeyId()), ekt: makeEkt() }
}

export function makeOfficer(name: string): Officer {
  const key = randomBytes(32).toString('base64')
  return { name, publicKey: `ssh-ed25519 ${key}`, fingerprint: `SHA256:${key}`, addedAtMs: 21 }
}

export function makeApprovalRequest(createdAtMs = 31): ApprovalRequest {
  const id = randomBytes(16).toString('hex')
  return { id, text: `what is asked by ${id}\n`, state: 'open', createdAtMs, generation: 1, approvals: [] }
}

export function makeApproval({ name, fingerprint }: Officer, approvedAtMs = 32): Approval {
  return { officer: name, fingerprint, signature: `a signature of ${name}`, approvedAtMs, counted: false }
}

/** A key whose HBK resides in a token, and the row of its object as it is when the object is about to be made. */
export function makeResident(): { key: KmsKey; object: ResidentObject; ekt: Ekt } {
  const serial = randomBytes(8).toString('hex')
  const kid = kidOf(newKeyId())
  const ckaId = residentCkaId(kid, randomBytes(15))
  const fields: EktFields = {
    ...{ domainId: randomBytes(16), dkVersion: 0, macVersion: 1, ...SCOPE, kid, mid: randomBytes(32) },
    ...{ keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT', origin: 'AWS_KMS', kdf: 'SP800-108-HMAC-SHA256' },
    ...{ wrapScheme: 'resident', tokenKeyType: 'GENERIC_SECRET', trueLength: 32, multiRegion: false },
    spkiDigest: Buffer.alloc(32),
    body: { kind: 'resident', ckaId, serials: [serial], commitment: randomBytes(32) },
  }
  const record = encodeEkt(fields, randomBytes(32))
  const ekt = { record, digest: createHash('sha256').update(record).digest(), holders: [serial] }
  const object: ResidentObject = { region: SCOPE.region, serial, ckaId, state: 'creating', createdAtMs: 3 }
  return { key: makeKey({}, [{ ...makeMaterial(), ekt }]), object, ekt }
}

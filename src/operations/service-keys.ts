/**
 * Keys that services use for an account's data (kms-api.md 13): `alias/aws/<service>`, one for each account and region, made
 * when it is first needed. Its policy lets the account's callers use it through the service, and look at it; nobody may
 * manage it. It is rotated every year by the task that rotates what is due.
 */
import { type Clock, DAY_MS } from '../base/clock.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { rootArn, servicePrincipal, viaServiceName } from '../model/arn.ts'
import { arnOf, type KeyMaterial, type KmsKey } from '../model/key.ts'
import { kidOf, newKeyId } from '../model/key-id.ts'
import { AlreadyStored, ChangedMeanwhile } from '../store/faults.ts'
import type { Scope } from '../store/records.ts'
import type { Store } from '../store/store.ts'

/** Of the names of aliases, those that customers cannot make. */
export const RESERVED_PREFIX = 'alias/aws/'
const ROTATION_PERIOD_DAYS = 365
/** Once more after another daemon was first, or the domain was rotated in between. */
const ATTEMPTS_MAX = 3

/** A key that is not there yet: what would be decided upon. */
export type PlannedKey = KmsKey & { readonly managedBy: string }

export class ServiceKeys {
  readonly #store: Store
  readonly #keyring: Keyring
  readonly #clock: Clock
  /** First uses under way, by account, region and alias: all of them wait for one key. */
  readonly #making = new Map<string, Promise<KmsKey | undefined>>()

  constructor(parts: { store: Store; keyring: Keyring; clock: Clock }) {
    this.#store = parts.store
    this.#keyring = parts.keyring
    this.#clock = parts.clock
  }

  /** The key that an alias would name; undefined unless it is that of a service which acts for the account. */
  async plan({ region, account }: Scope, alias: string): Promise<PlannedKey | undefined> {
    if (!alias.startsWith(RESERVED_PREFIX)) return undefined
    const service = await this.#store.reader.findService(alias.slice(RESERVED_PREFIX.length))
    if (!service?.actsFor.includes(account)) return undefined
    const id = newKeyId()
    const now = this.#clock()
    return {
      ...{ region, account, id, arn: arnOf({ region, account, id }), kid: kidOf(id), managedBy: service.name },
      ...{ spec: 'SYMMETRIC_DEFAULT', usage: 'ENCRYPT_DECRYPT', origin: 'AWS_KMS', state: 'Enabled' },
      description: `Default key that protects what ${service.name} keeps when no other key is named`,
      policy: serviceKeyPolicy(region, account, service.name),
      policyPrincipals: new Map(),
      ...{ createdAtMs: now, deletionAtMs: undefined, generation: 1 },
      rotation: { periodDays: ROTATION_PERIOD_DAYS, nextAtMs: now + ROTATION_PERIOD_DAYS * DAY_MS },
      ...{ materials: new Map(), current: undefined, tags: [], aliases: [alias], grants: [] },
    }
  }

  /** Makes a planned key, or finds the one that somebody else has made meanwhile. Throws KmsError when no HSM can. */
  make(planned: PlannedKey, alias: string): Promise<KmsKey | undefined> {
    const name = `${planned.region}/${planned.account}/${alias}`
    const underWay = this.#making.get(name)
    if (underWay !== undefined) return underWay
    const making = this.#make(planned, alias).finally(() => this.#making.delete(name))
    this.#making.set(name, making)
    return making
  }

  async #make(planned: PlannedKey, alias: string): Promise<KmsKey | undefined> {
    const { region, account, kid, spec, usage, createdAtMs } = planned
    const asked = { account, kid, keySpec: spec, keyUsage: usage }
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#found(planned, alias)
      if (found !== undefined) return found
      const material = await this.#keyring.createMaterial(region, asked, createdAtMs)
      try {
        await this.#insert(planned, material, alias)
        return await this.#found(planned, alias)
      } catch (error) {
        const another = error instanceof AlreadyStored || error instanceof ChangedMeanwhile
        if (!another || attempt === ATTEMPTS_MAX) throw error
      }
    }
  }

  async #found(scope: Scope, alias: string): Promise<KmsKey | undefined> {
    const found = await this.#store.hot.alias(scope, alias)
    return found && (await this.#store.hot.key(scope, found.keyId))
  }

  /** Key and alias in one transaction: of two daemons, the alias of one is refused, and its key with it. */
  #insert(planned: PlannedKey, material: KeyMaterial, alias: string): Promise<void> {
    const { region, account, id, createdAtMs } = planned
    const key = { ...planned, materials: new Map([[material.id, material]]), current: material }
    return this.#store.transaction(async tx => {
      await tx.insertKey(key)
      await tx.insertAlias({ region, account, name: alias, keyId: id, createdAtMs, updatedAtMs: createdAtMs })
    })
  }
}

/** As AWS writes it for its own services. The caller's account and the service are conditions, so no service uses it alone. */
function serviceKeyPolicy(region: string, account: string, service: string): string {
  const use = [
    'kms:Encrypt',
    'kms:Decrypt',
    'kms:ReEncrypt*',
    'kms:GenerateDataKey*',
    'kms:CreateGrant',
    'kms:DescribeKey',
  ]
  const look = ['kms:Describe*', 'kms:Get*', 'kms:List*', 'kms:RevokeGrant']
  const via = viaServiceName(servicePrincipal(service), region)
  return JSON.stringify({
    Version: '2012-10-17',
    Id: `auto-${service}-1`,
    Statement: [
      {
        Sid: `Allow access through ${service} for all principals in the account that are authorized to use ${service}`,
        Effect: 'Allow',
        Principal: { AWS: '*' },
        Action: use,
        Resource: '*',
        Condition: { StringEquals: { 'kms:CallerAccount': account, 'kms:ViaService': via } },
      },
      {
        Sid: 'Allow direct access to key metadata to the account',
        Effect: 'Allow',
        Principal: { AWS: rootArn(account) },
        Action: look,
        Resource: '*',
      },
    ],
  })
}

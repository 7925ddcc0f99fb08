/**
 * Who the officers are and how many of them it takes. Changing either is a ceremony itself: the officers of today decide
 * who they are tomorrow. Before there is a threshold nobody decides, and whoever runs the command registers officers.
 */
import type { CeremonyAct } from '../../formats/approval-request.ts'
import { formatSshPublicKey, parseSshPublicKey, UnusableSshKey } from '../../formats/ssh-public-key.ts'
import type { DualControl, Officer } from '../../model/dual-control.ts'
import { CommandFailed } from '../admin-client.ts'
import { type ApprovalParts, withApproval } from './approval.ts'
import { recordOf } from './parts.ts'
import { record } from './recorded.ts'

/** What their changes are recorded under: officers are for all regions. No region has such a name. */
export const EVERY_REGION = '*'

const OFFICERS_MAX = 32
const NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/

/** Throws {@link CommandFailed}. */
export async function addOfficer(parts: ApprovalParts, name: string, publicKeyText: string): Promise<Officer> {
  if (!NAME.test(name))
    throw new CommandFailed('an officer has a name of 1 to 32 letters a to z, digits, dots, hyphens and underscores')
  const key = readKey(publicKeyText)
  const current = await parts.store.reader.findDualControl()
  const taken = current.officers.find(officer => officer.name === name || officer.fingerprint === key.fingerprint)
  if (taken !== undefined)
    throw new CommandFailed(`there is an officer ${taken.name} with the key ${taken.fingerprint} already`)
  if (current.officers.length >= OFFICERS_MAX)
    throw new CommandFailed(`there are ${OFFICERS_MAX} officers, and may be no more`)
  const officer = {
    ...{ name, publicKey: formatSshPublicKey(key), fingerprint: key.fingerprint },
    addedAtMs: parts.clock(),
  }
  const args = { name, key: `${key.algorithm} ${key.fingerprint}` }
  const what = `added officer ${name} with the key ${key.fingerprint}`
  await change(parts, current, { command: 'officer add', args, what }, { officers: [...current.officers, officer] })
  return officer
}

/** Throws {@link CommandFailed}, also when too few would be left for the threshold. */
export async function removeOfficer(parts: ApprovalParts, name: string): Promise<void> {
  const current = await parts.store.reader.findDualControl()
  const officer = current.officers.find(each => each.name === name)
  if (officer === undefined) throw new CommandFailed(`there is no officer ${name}: see strongroom officer list`)
  const officers = current.officers.filter(each => each !== officer)
  if (officers.length < current.threshold)
    throw new CommandFailed(
      `${current.threshold} officers must approve, and ${officers.length} would be left: add another or lower the threshold first`,
    )
  const args = { name, key: officer.fingerprint }
  const what = `removed officer ${name} with the key ${officer.fingerprint}`
  await change(parts, current, { command: 'officer remove', args, what }, { officers })
}

/**
 * As many as the new threshold must approve it, so that it is never set beyond what there are working keys for; nothing
 * happens when it is the one there is. Throws {@link CommandFailed}.
 */
export async function setThreshold(parts: ApprovalParts, threshold: number): Promise<void> {
  const current = await parts.store.reader.findDualControl()
  if (threshold > current.officers.length)
    throw new CommandFailed(
      `there are ${current.officers.length} officers: a threshold of ${threshold} could not be met`,
    )
  if (threshold === current.threshold) return
  const what = `set the threshold to ${threshold}, from ${current.threshold}`
  const act = { command: 'officer threshold', args: { threshold: String(threshold) }, approvals: threshold, what }
  await change(parts, current, act, { threshold })
}

async function change(
  parts: ApprovalParts,
  current: DualControl,
  { what, ...act }: Pick<CeremonyAct, 'command' | 'args'> & { readonly approvals?: number; readonly what: string },
  changes: Partial<DualControl>,
): Promise<void> {
  // The generation in what is signed and in what is written are one: of two changes at once, the second is refused.
  const next = { ...current, ...changes, generation: current.generation + 1 }
  await withApproval(parts, { ...act, state: describe(current) }, approvedBy => {
    const ceremony = recordOf(
      { clock: parts.clock, command: act.command, officers: approvedBy },
      EVERY_REGION,
      what,
      'done',
    )
    return parts.store.transaction(async tx => {
      await tx.putDualControl(next)
      await record(tx, ceremony)
    })
  })
}

function describe({ generation, threshold, officers }: DualControl): Record<string, string> {
  const keys = officers.map(({ name, fingerprint }) => [`officer ${name}`, fingerprint])
  return { generation: String(generation), threshold: String(threshold), ...Object.fromEntries(keys) }
}

function readKey(text: string) {
  try {
    return parseSshPublicKey(text)
  } catch (error) {
    if (error instanceof UnusableSshKey) throw new CommandFailed(error.message)
    throw error
  }
}

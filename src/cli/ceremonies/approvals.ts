/** Officers' approvals of a request: what they signed, which of them count, taking one in, and calling a request off. */

import { MalformedBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { type ApprovalText, MalformedApprovalRequest, parseApprovalText } from '../../formats/approval-request.ts'
import { parseSshPublicKey } from '../../formats/ssh-public-key.ts'
import { parseSshSignature, type SshSignature, verifySshSignature } from '../../formats/ssh-signature.ts'
import type { ApprovalRequest, Officer } from '../../model/dual-control.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { CommandFailed } from '../admin-client.ts'

/** What officers sign for: a signature for anything else, such as a git commit, is none. */
export const SIGNATURE_NAMESPACE = 'strongroom-ceremony'

export interface ValidApproval {
  readonly officer: string
  readonly fingerprint: string
}

/** What a request asks for; undefined when its row is not what was written. */
export function readRequest({ id, text }: ApprovalRequest): ApprovalText | undefined {
  try {
    const asked = parseApprovalText(text)
    return asked.id === id ? asked : undefined
  } catch (error) {
    if (error instanceof MalformedApprovalRequest) return undefined
    throw error
  }
}

/**
 * The officers of today whose key has signed the text: the rows of approvals are taken at their signatures alone. One key
 * counts once, whatever it is called.
 */
export function validApprovals(request: ApprovalRequest, officers: readonly Officer[]): ValidApproval[] {
  const signatures = request.approvals
    .map(({ signature }) => readSignature(signature))
    .filter(each => each !== undefined)
  const message = Buffer.from(request.text, 'utf8')
  const byKey = new Map<string, ValidApproval>()
  for (const { name, publicKey } of officers) {
    const key = parseSshPublicKey(publicKey)
    const signed = signatures.some(each => verifySshSignature(each, key, SIGNATURE_NAMESPACE, message))
    if (signed && !byKey.has(key.fingerprint))
      byKey.set(key.fingerprint, { officer: name, fingerprint: key.fingerprint })
  }
  return [...byKey.values()]
}

export interface Approved {
  readonly officer: string
  /** Of the officers of today, with the one who has just approved. */
  readonly approvals: number
}

/** Takes in an officer's signature. Throws {@link CommandFailed} when it is none over this request. */
export async function approve(
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  id: string,
  armoured: string,
): Promise<Approved> {
  return store.transaction(async tx => {
    const request = await requireRequest(tx, id)
    const { officers } = await tx.findDualControl()
    const nowMs = clock()
    requireUndecided(request, nowMs)
    const { name, fingerprint } = whoSigned(request, officers, armoured)
    if (request.approvals.some(given => given.fingerprint === fingerprint))
      throw new CommandFailed(`${name} has approved this request already`)
    const approval = { officer: name, fingerprint, signature: armoured, approvedAtMs: nowMs, counted: false }
    await tx.insertApproval(id, approval)
    const approvals = [...request.approvals, approval]
    return { officer: name, approvals: validApprovals({ ...request, approvals }, officers).length }
  })
}

/** Ends a request that waits, or that was started and will not be gone on with. */
export async function cancel(store: Store, id: string): Promise<ApprovalRequest> {
  return store.transaction(async tx => {
    const request = await requireRequest(tx, id)
    requireUnended(request)
    const cancelled = { ...request, state: 'cancelled' as const, generation: request.generation + 1 }
    await tx.updateApprovalRequest(cancelled)
    return cancelled
  })
}

/** Throws {@link CommandFailed} when there is no such request. */
export async function requireRequest(
  reader: Pick<Transaction, 'findApprovalRequest'>,
  id: string,
): Promise<ApprovalRequest> {
  const request = await reader.findApprovalRequest(id)
  if (request === undefined) throw new CommandFailed(`there is no request ${id}: see strongroom ceremony list`)
  return request
}

function requireUnended({ id, state }: ApprovalRequest): void {
  if (state === 'done') throw new CommandFailed(`request ${id} is done`)
  if (state === 'cancelled') throw new CommandFailed(`request ${id} was cancelled`)
}

function requireUndecided(request: ApprovalRequest, nowMs: number): void {
  requireUnended(request)
  const asked = readRequest(request)
  if (asked === undefined) throw new CommandFailed(`request ${request.id} is damaged in the key store: cancel it`)
  // One that was started goes on after its expiry, and may need the approval of another officer for it.
  if (request.state === 'open' && nowMs >= asked.expiresAtMs)
    throw new CommandFailed(`request ${request.id} has expired: run the command again for another one`)
}

function whoSigned({ text }: ApprovalRequest, officers: readonly Officer[], armoured: string): Officer {
  const signature = readSignature(armoured)
  if (signature === undefined)
    throw new CommandFailed('this is not a signature of ssh-keygen -Y sign: hand in what that command writes')
  if (signature.namespace !== SIGNATURE_NAMESPACE)
    throw new CommandFailed(`signed for another purpose: ssh-keygen -Y sign needs -n ${SIGNATURE_NAMESPACE}`)
  const keys = officers.map(officer => ({ officer, key: parseSshPublicKey(officer.publicKey) }))
  const signer = keys.find(({ key }) => key.blob.equals(signature.publicKey))
  if (signer === undefined)
    throw new CommandFailed('signed with a key that belongs to no officer: see strongroom officer list')
  if (verifySshSignature(signature, signer.key, SIGNATURE_NAMESPACE, Buffer.from(text, 'utf8'))) return signer.officer
  throw new CommandFailed(
    `the key is that of ${signer.officer.name}, but it has not signed this request: sign its text as it is, to the last byte`,
  )
}

function readSignature(armoured: string): SshSignature | undefined {
  try {
    return parseSshSignature(armoured)
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined
    throw error
  }
}

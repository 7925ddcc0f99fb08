/** The texts of requests as files that officers are given, and what the operator is told to do with them. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import { readRequest, SIGNATURE_NAMESPACE } from './approvals.ts'

export interface RequestFolder {
  pathOf(request: ApprovalRequest): string
  write(request: ApprovalRequest): void
  /** Of a request that nobody needs to sign any more. */
  remove(request: ApprovalRequest): void
}

export function openRequestFolder(folder: string): RequestFolder {
  const pathOf = ({ id }: ApprovalRequest) => join(folder, `${id}.txt`)
  return {
    pathOf,
    write(request) {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      writeFileSync(pathOf(request), request.text, { mode: 0o600 })
    },
    remove: request => rmSync(pathOf(request), { force: true }),
  }
}

/** What is missing, and how each officer gives it. */
export function instructionsFor(
  folder: RequestFolder,
  request: ApprovalRequest,
  given: readonly string[],
  { officers }: DualControl,
  needed: number,
): string {
  const others = officers.map(({ name }) => name).filter(name => !given.includes(name))
  const expiresAtMs = readRequest(request)?.expiresAtMs
  const until = expiresAtMs === undefined ? '' : `, which may begin until ${new Date(expiresAtMs).toISOString()}`
  const names = given.length > 0 ? ` (${given.join(', ')})` : ''
  return [
    `this needs the approval of ${needed} of ${officers.length} officers and has that of ${given.length}${names}`,
    `Request ${request.id}${until}, is in`,
    `  ${folder.pathOf(request)}`,
    `Give that file to officers (${others.join(', ')}). Each reads it and, agreeing, signs it where the key is:`,
    `  ssh-keygen -Y sign -n ${SIGNATURE_NAMESPACE} -f ~/.ssh/id_ed25519 < REQUEST-FILE > NAME.sig`,
    'For a key in ssh-agent or on a PIV card, -f names its public key. Then, here, for each signature:',
    `  strongroom ceremony approve ${request.id} --signature NAME.sig`,
    `When ${needed} have approved, run the same command again.`,
  ].join('\n')
}

/** Dual control on a key store of the test's own: officers sign with ssh-keygen, and a clock that the test moves. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { HOUR_MS } from '../../../src/base/clock.ts'
import { CommandFailed } from '../../../src/cli/admin-client.ts'
import { type ApprovalParts, type GuardedAct, withApproval } from '../../../src/cli/ceremonies/approval.ts'
import { approve, cancel } from '../../../src/cli/ceremonies/approvals.ts'
import { addOfficer, removeOfficer, setThreshold } from '../../../src/cli/ceremonies/officers.ts'
import { openRequestFolder } from '../../../src/cli/ceremonies/request-folder.ts'
import { renderApprovalText } from '../../../src/formats/approval-request.ts'
import type { ApprovalRequest } from '../../../src/model/dual-control.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { makeSshKey, type SigningOptions, type SshKey, signWithSsh } from '../../support/ssh-keys.ts'
import { makeTemporaryFolder } from '../store/records.ts'

const START_MS = Date.UTC(2026, 10, 22)
const ROTATE: GuardedAct = { command: 'domain rotate', args: { region: 'on-prem-1' }, state: { generation: '7' } }
const KINDS = { alice: 'ed25519', bob: 'ecdsa 384', carol: 'rsa 3072', mallory: 'ed25519' }
type Name = keyof typeof KINDS

let keyFolder: ReturnType<typeof makeTemporaryFolder>
let keys: Readonly<Record<Name, SshKey>>
let folder: ReturnType<typeof makeTemporaryFolder>
let nowMs: number
let parts: ApprovalParts
let runs: (readonly string[])[]

beforeAll(() => {
  keyFolder = makeTemporaryFolder()
  const made = Object.entries(KINDS).map(([name, kind]) => [name, makeSshKey(keyFolder.path, name, kind)])
  keys = Object.fromEntries(made)
}, 30_000)

afterAll(() => keyFolder?.remove())

beforeEach(async () => {
  folder = makeTemporaryFolder()
  nowMs = START_MS
  runs = []
  const requests = openRequestFolder(join(folder.path, 'requests'))
  parts = { store: await openStore({ path: join(folder.path, 'store.db') }), clock: () => nowMs, requests }
})

afterEach(async () => {
  await parts.store.close()
  folder.remove()
})

const run = (act: GuardedAct = ROTATE) => withApproval(parts, act, async officers => void runs.push(officers))

/** Fails as the seam does when approvals are missing, and gives the request that it asks for. */
async function asksFor(attempt: Promise<unknown>): Promise<ApprovalRequest> {
  const error = await attempt.then(
    () => undefined,
    reason => reason,
  )
  expect(error).toBeInstanceOf(CommandFailed)
  expect(error.message).toContain('this needs the approval of')
  const [, id = ''] = /Request ([0-9a-f]{32}),/.exec(error.message) ?? []
  return (await parts.store.reader.findApprovalRequest(id))!
}

const sign = (name: Name, { id, text }: ApprovalRequest, options?: SigningOptions) =>
  approve(parts, id, signWithSsh(keys[name], text, options))

/** Three officers, of whom two must approve: set up as operators do, with a first approval of two of them. */
async function requireTwoOfThree(): Promise<void> {
  for (const name of ['alice', 'bob', 'carol'] as const) await addOfficer(parts, name, keys[name].publicKey)
  const request = await asksFor(setThreshold(parts, 2))
  for (const name of ['alice', 'bob'] as const) await sign(name, request)
  await setThreshold(parts, 2)
}

async function stateOf({ id }: ApprovalRequest): Promise<ApprovalRequest['state'] | undefined> {
  return (await parts.store.reader.findApprovalRequest(id))?.state
}

describe('a ceremony', () => {
  it('runs at once while dual control is off', async () => {
    await run()
    for (const name of ['alice', 'bob'] as const) await addOfficer(parts, name, keys[name].publicKey)
    await run()
    expect(runs).toEqual([[], []])
    expect(await parts.store.reader.listApprovalRequests(['open', 'started', 'done'], 10)).toEqual([])
  })

  it('needs as many officers as the threshold says, and runs once', async () => {
    await requireTwoOfThree()
    const request = await asksFor(run())
    expect(await sign('carol', request)).toEqual({ officer: 'carol', approvals: 1 })
    expect((await asksFor(run())).id).toBe(request.id)
    expect(await sign('alice', request)).toEqual({ officer: 'alice', approvals: 2 })
    expect(runs).toEqual([])
    await run()
    expect(runs).toEqual([['alice', 'carol']])
    const done = await parts.store.reader.findApprovalRequest(request.id)
    expect(done).toMatchObject({ state: 'done', approvals: [{ counted: true }, { counted: true }] })

    const another = await asksFor(run())
    expect(another.id).not.toBe(request.id)
    expect(runs).toHaveLength(1)
    await expect(sign('bob', request)).rejects.toThrow(`request ${request.id} is done`)
    // Nor do the signatures of the first request serve for the second.
    const replayed = approve(parts, another.id, done!.approvals[0]!.signature)
    await expect(replayed).rejects.toThrow('it has not signed this request')
  })

  it('says what to do, in a file that only its owner reads', async () => {
    await requireTwoOfThree()
    const path = (request: ApprovalRequest) => parts.requests.pathOf(request)
    const request = await asksFor(run())
    expect(readFileSync(path(request), 'utf8')).toBe(request.text)
    expect(statSync(path(request)).mode & 0o777).toBe(0o600)
    await sign('bob', request)
    await expect(run()).rejects.toThrow(
      new RegExp(`^this needs the approval of 2 of 3 officers and has that of 1 \\(bob\\)\n.*2026-11-25T00:00:00.000Z, is in
  ${path(request)}\n.*\\(alice, carol\\)`),
    )
    await sign('alice', request)
    await run()
    expect(existsSync(path(request))).toBe(false)
  })

  it.each<[string, GuardedAct]>([
    ['arguments', { ...ROTATE, args: { region: 'on-prem-2' } }],
    ['state', { ...ROTATE, state: { generation: '8' } }],
    ['command', { ...ROTATE, command: 'domain retire' }],
  ])('with another %s needs a request of its own', async (_, other) => {
    await requireTwoOfThree()
    const request = await asksFor(run())
    for (const name of ['alice', 'bob'] as const) await sign(name, request)
    expect((await asksFor(run(other))).id).not.toBe(request.id)
    await run()
    expect(runs).toHaveLength(1)
  })

  it('goes on under its request when it was interrupted, until it is done', async () => {
    await requireTwoOfThree()
    const request = await asksFor(run())
    for (const name of ['alice', 'bob'] as const) await sign(name, request)
    // What was never started is not gone on with, whatever the state says.
    const begunBefore = { ...ROTATE, state: { generation: '6' }, unfinished: true }
    expect((await asksFor(run(begunBefore))).id).not.toBe(request.id)
    const interrupted = withApproval(parts, ROTATE, () => Promise.reject(new Error('interrupted')))
    await expect(interrupted).rejects.toThrow('interrupted')
    expect(await stateOf(request)).toBe('started')

    // Days later, with another state that the ceremony itself has made: only what says that it is unfinished goes on.
    nowMs += 200 * HOUR_MS
    const changed = { ...ROTATE, state: { generation: '8' } }
    expect((await asksFor(run(changed))).id).not.toBe(request.id)
    expect((await asksFor(run(ROTATE))).id).not.toBe(request.id)
    const other = { ...changed, unfinished: true, args: { region: 'on-prem-2' } }
    expect((await asksFor(run(other))).id).not.toBe(request.id)
    await run({ ...changed, unfinished: true })
    expect(runs).toEqual([['alice', 'bob']])
    expect(await stateOf(request)).toBe('done')
    await asksFor(run({ ...changed, unfinished: true }))
    expect(runs).toHaveLength(1)
  })

  it('that failed before it changed anything may be run again in time', async () => {
    await requireTwoOfThree()
    const request = await asksFor(run())
    for (const name of ['alice', 'bob'] as const) await sign(name, request)
    await expect(withApproval(parts, ROTATE, () => Promise.reject(new Error('wrong PIN')))).rejects.toThrow('wrong PIN')
    await run()
    expect(runs).toHaveLength(1)
    expect(await stateOf(request)).toBe('done')
  })

  it('does not begin when its request has expired', async () => {
    await requireTwoOfThree()
    const request = await asksFor(run())
    for (const name of ['alice', 'bob'] as const) await sign(name, request)
    nowMs += 72 * HOUR_MS
    expect((await asksFor(run())).id).not.toBe(request.id)
    await expect(sign('carol', request)).rejects.toThrow(`request ${request.id} has expired`)
    expect(runs).toEqual([])
  })

  it('does not run when its request was cancelled', async () => {
    await requireTwoOfThree()
    const request = await asksFor(run())
    for (const name of ['alice', 'bob'] as const) await sign(name, request)
    await cancel(parts.store, request.id)
    await expect(cancel(parts.store, request.id)).rejects.toThrow('was cancelled')
    await expect(sign('carol', request)).rejects.toThrow('was cancelled')
    expect((await asksFor(run())).id).not.toBe(request.id)
    expect(runs).toEqual([])
  })

  it('runs upon the officers of the moment: one who has left does not count, under whatever name', async () => {
    await requireTwoOfThree()
    const request = await asksFor(run())
    for (const name of ['alice', 'bob'] as const) await sign(name, request)
    const removal = await asksFor(removeOfficer(parts, 'alice'))
    for (const name of ['bob', 'carol'] as const) await sign(name, removal)
    await removeOfficer(parts, 'alice')
    const addition = await asksFor(addOfficer(parts, 'alice', keys.mallory.publicKey))
    for (const name of ['bob', 'carol'] as const) await sign(name, addition)
    await addOfficer(parts, 'alice', keys.mallory.publicKey)
    expect((await asksFor(run())).id).toBe(request.id)
    await sign('carol', request)
    await run()
    expect(runs).toEqual([['bob', 'carol']])
  })

  it('is not approved by rows that somebody wrote into the key store', async () => {
    await requireTwoOfThree()
    const request = await asksFor(run())
    await sign('alice', request)
    const { approvals } = (await parts.store.reader.findApprovalRequest(request.id))!
    const other = { ...request, id: '0'.repeat(32) }
    await parts.store.transaction(async tx => {
      await tx.insertApproval(request.id, { ...approvals[0]!, officer: 'bob', fingerprint: 'SHA256:of bob' })
      const signature = signWithSsh(keys.mallory, request.text)
      await tx.insertApproval(request.id, { ...approvals[0]!, officer: 'carol', fingerprint: 'SHA256:c', signature })
      await tx.insertApproval(request.id, { ...approvals[0]!, fingerprint: 'SHA256:d', signature: 'no signature' })
      // The text of another act, in the place of the one that was signed.
      const asked = { ...ROTATE, state: { generation: '9' }, createdAtMs: nowMs, expiresAtMs: nowMs + HOUR_MS }
      const text = renderApprovalText({ ...asked, id: other.id })
      await tx.insertApprovalRequest({ ...other, text, approvals: [] })
      for (const name of ['alice', 'bob'] as const) {
        const { fingerprint } = (await tx.findDualControl()).officers.find(officer => officer.name === name)!
        const signed = signWithSsh(keys[name], request.text)
        await tx.insertApproval(other.id, { ...approvals[0]!, officer: name, fingerprint, signature: signed })
      }
    })
    expect((await asksFor(run())).id).toBe(request.id)
    expect((await asksFor(run({ ...ROTATE, state: { generation: '9' } }))).id).toBe(other.id)
    expect(runs).toEqual([])
  })

  it('leaves no more than 64 requests waiting', async () => {
    await requireTwoOfThree()
    const act = (number: number) => ({ ...ROTATE, state: { generation: String(number) } })
    for (let number = 0; number < 64; number++) await asksFor(run(act(number)))
    await expect(run(act(64))).rejects.toThrow('64 requests wait for approval: cancel some')
    nowMs += 72 * HOUR_MS
    await asksFor(run(act(64)))
  })
})

describe('an approval', () => {
  let request: ApprovalRequest

  beforeEach(async () => {
    await requireTwoOfThree()
    request = await asksFor(run())
  })

  it.each<[string, () => Promise<unknown>, string]>([
    ['of nobody', () => approve(parts, request.id, 'approved'), 'not a signature of ssh-keygen'],
    ['for another purpose', () => sign('alice', request, { namespace: 'git' }), 'needs -n strongroom-ceremony'],
    ['of a stranger', () => sign('mallory', request), 'a key that belongs to no officer'],
    [
      'of an altered request',
      () => sign('alice', { ...request, text: request.text.replace('on-prem-1', 'on-prem-2') }),
      'the key is that of alice, but it has not signed this request',
    ],
    ['of no request', () => sign('alice', { ...request, id: 'f'.repeat(32) }), 'there is no request ffff'],
  ])('%s is refused', async (_, attempt, message) => {
    await expect(attempt()).rejects.toThrow(CommandFailed)
    await expect(attempt()).rejects.toThrow(message)
    expect((await parts.store.reader.findApprovalRequest(request.id))?.approvals).toEqual([])
  })

  it('is one for each officer', async () => {
    await sign('alice', request)
    await expect(sign('alice', request)).rejects.toThrow('alice has approved this request already')
    // Another signature of the same key is no other approval.
    await expect(sign('alice', request, { hash: 'sha256' })).rejects.toThrow('alice has approved this request already')
    await asksFor(run())
  })
})

describe('officers', () => {
  it('are registered freely before there is a threshold', async () => {
    const alice = await addOfficer(parts, 'alice', keys.alice.publicKey)
    expect(alice).toMatchObject({ name: 'alice', addedAtMs: START_MS })
    expect(`${alice.publicKey} alice of the tests\n`).toBe(keys.alice.publicKey)
    await addOfficer(parts, 'bob', keys.bob.publicKey)
    await removeOfficer(parts, 'bob')
    const { officers, threshold, generation } = await parts.store.reader.findDualControl()
    expect({ officers, threshold, generation }).toEqual({ officers: [alice], threshold: 0, generation: 3 })
  })

  it('are refused when they are there, or have a key or name that will not do', async () => {
    await addOfficer(parts, 'alice', keys.alice.publicKey)
    for (const [name, key] of [
      ['alice', keys.bob],
      ['bob', keys.alice],
    ] as const)
      await expect(addOfficer(parts, name, key.publicKey)).rejects.toThrow(
        'there is an officer alice with the key SHA256:',
      )
    await expect(addOfficer(parts, 'Bob\n', keys.bob.publicKey)).rejects.toThrow('an officer has a name of')
    await expect(addOfficer(parts, 'bob', 'ssh-rsa AAAA')).rejects.toThrow(CommandFailed)
    await expect(removeOfficer(parts, 'bob')).rejects.toThrow('there is no officer bob')
  })

  it('turn dual control on by signing for it, as many as the threshold says', async () => {
    for (const name of ['alice', 'bob'] as const) await addOfficer(parts, name, keys[name].publicKey)
    await expect(setThreshold(parts, 3)).rejects.toThrow('a threshold of 3 could not be met')
    const request = await asksFor(setThreshold(parts, 2))
    await sign('alice', request)
    await asksFor(setThreshold(parts, 2))
    expect((await parts.store.reader.findDualControl()).threshold).toBe(0)
    await sign('bob', request)
    await setThreshold(parts, 2)
    expect((await parts.store.reader.findDualControl()).threshold).toBe(2)
    await setThreshold(parts, 2)
  })

  it('change, and turn dual control off, only with the approval of those there are', async () => {
    await requireTwoOfThree()
    await asksFor(addOfficer(parts, 'mallory', keys.mallory.publicKey))
    await asksFor(removeOfficer(parts, 'alice'))
    await asksFor(setThreshold(parts, 1))
    const off = await asksFor(setThreshold(parts, 0))
    expect(await parts.store.reader.findDualControl()).toMatchObject({ threshold: 2, generation: 4 })
    for (const name of ['alice', 'carol'] as const) await sign(name, off)
    await setThreshold(parts, 0)
    await run()
    expect(runs).toEqual([[]])
  })

  it('raise the threshold only as far as they have signed', async () => {
    await requireTwoOfThree()
    const request = await asksFor(setThreshold(parts, 3))
    for (const name of ['alice', 'bob'] as const) await sign(name, request)
    await asksFor(setThreshold(parts, 3))
    await sign('carol', request)
    await setThreshold(parts, 3)
    await expect(removeOfficer(parts, 'alice')).rejects.toThrow('3 officers must approve, and 2 would be left')
  })

  it('approve a change of those that they see: another change in between makes it another', async () => {
    await requireTwoOfThree()
    const [removal, lowering] = [await asksFor(removeOfficer(parts, 'carol')), await asksFor(setThreshold(parts, 1))]
    for (const request of [removal, lowering]) {
      expect(request.text).toMatch(/^state officer carol: SHA256:/m)
      for (const name of ['alice', 'bob'] as const) await sign(name, request)
    }
    await removeOfficer(parts, 'carol')
    expect((await asksFor(setThreshold(parts, 1))).id).not.toBe(lowering.id)
  })
})

/** Whose turn it is to open a token: one process at a time, and none after a refusal. */
import { describe, expect, it } from '@jest/globals'
import type { StartTurns } from '../../../src/hsm/pool/start-turns.ts'
import { TokenTurns } from '../../../src/processes/token-turns.ts'

const TOKEN = 'pkcs11:token=a'

/** What a process was told, once it was told. */
function ask(turns: StartTurns, uri = TOKEN): { told: string | undefined } {
  const asked: { told: string | undefined } = { told: undefined }
  void turns.take(uri).then(({ refusal }) => {
    asked.told = refusal ?? 'go on'
  })
  return asked
}

const settle = () => new Promise<void>(resolve => setImmediate(resolve))

describe('turns to open a token', () => {
  it('are given one after another, and those of other tokens meanwhile', async () => {
    const turns = new TokenTurns()
    const [first, second, third] = [{}, {}, {}].map(owner => turns.of(owner))
    const asked = [ask(first!), ask(second!), ask(third!), ask(second!, 'pkcs11:token=b')]
    await settle()
    expect(asked.map(({ told }) => told)).toEqual(['go on', undefined, undefined, 'go on'])
    first!.end(TOKEN, undefined)
    await settle()
    expect(asked.map(({ told }) => told)).toEqual(['go on', 'go on', undefined, 'go on'])
  })

  it('end for all with a refusal, until an operator allows them', async () => {
    const turns = new TokenTurns()
    const [first, second] = [turns.of({}), turns.of({})]
    const asked = [ask(first), ask(second)]
    await settle()
    first.end(TOKEN, 'PIN refused')
    const late = ask(first)
    await settle()
    expect([asked[1]!.told, late.told]).toEqual(['PIN refused', 'PIN refused'])
    turns.allow(TOKEN)
    const again = ask(second)
    await settle()
    expect(again.told).toBe('go on')
  })

  it('go on when the process that has one is gone, and are kept for nobody who is', async () => {
    const turns = new TokenTurns()
    const owners = [{}, {}, {}]
    const [first, second, third] = owners.map(owner => turns.of(owner))
    ask(first!)
    const gone = ask(second!)
    const next = ask(third!)
    turns.leave(owners[1]!)
    turns.leave(owners[0]!)
    await settle()
    expect([gone.told, next.told]).toEqual([undefined, 'go on'])
  })

  it('are ended by who has them alone', async () => {
    const turns = new TokenTurns()
    const [first, second] = [turns.of({}), turns.of({})]
    ask(first)
    const waiting = ask(second)
    second.end(TOKEN, 'PIN refused')
    await settle()
    expect(waiting.told).toBeUndefined()
  })
})

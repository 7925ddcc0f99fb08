/** A token's circuit, with a clock and a die of the test's own. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { Circuit, type TokenState } from '../../../../src/hsm/pool/circuit.ts'

const SECOND = 1_000
const QUICK = 0.01
const SLOW = 0.9

let now: number
let die: number
let states: TokenState[]
let circuit: Circuit

beforeEach(() => {
  now = 0
  die = 1
  states = []
  circuit = new Circuit({ random: () => die, nowMs: now, changed: () => states.push(circuit.state) })
})

const succeed = (times: number, share = QUICK) => {
  for (let time = 0; time < times; time++) circuit.succeeded(now, share)
}
const fail = (times: number) => {
  for (let time = 0; time < times; time++) circuit.failed(now, 'token: CKR_DEVICE_ERROR')
}
const beHealthy = () => {
  circuit.ready(now)
  states = []
}

describe('a token that starts', () => {
  it('is healthy when its host is ready', () => {
    expect(circuit.state).toBe('starting')
    expect(circuit.serving).toBe(false)
    circuit.ready(now)
    expect([circuit.state, circuit.serving]).toEqual(['healthy', true])
  })

  it('is open when its host cannot open it, and says why once', () => {
    circuit.startFailed(now, 'no token')
    circuit.startFailed(now + 50, 'still no token')
    expect([states, circuit.reason]).toEqual([['open'], 'still no token'])
  })
})

describe('faults', () => {
  beforeEach(beHealthy)

  it('degrade a token when there are two among twenty commands, until twenty were answered', () => {
    fail(1)
    expect(states).toEqual([])
    fail(1)
    expect([states, circuit.serving]).toEqual([['degraded'], true])
    now += SECOND
    succeed(18)
    expect(states).toEqual(['degraded'])
    succeed(2)
    expect(states).toEqual(['degraded', 'healthy'])
  })

  it('have it suspected when three come in a row, and open it at ten of twenty', () => {
    fail(2)
    expect(circuit.suspect).toBe(false)
    fail(1)
    expect(circuit.suspect).toBe(true)
    succeed(1)
    expect(circuit.suspect).toBe(false)
    fail(6)
    expect(circuit.state).toBe('degraded')
    fail(1)
    expect(circuit.state).toBe('open')
    expect(circuit.reason).toBe('token: CKR_DEVICE_ERROR')
  })

  it('do not open a token of which one command in three fails', () => {
    for (let round = 0; round < 200; round++) {
      fail(1)
      succeed(2)
    }
    expect(circuit.state).toBe('degraded')
  })

  it('never count when they are the data of a caller', () => {
    succeed(10_000)
    expect(states).toEqual([])
  })
})

describe('a slow token', () => {
  beforeEach(beHealthy)

  it('is degraded, and healthy again when it is quick, not at every change', () => {
    succeed(10, SLOW)
    expect(states).toEqual(['degraded'])
    now += 10
    succeed(200)
    expect(states).toEqual(['degraded'])
    now += SECOND
    succeed(1)
    expect(states).toEqual(['degraded', 'healthy'])
  })
})

describe('an open circuit', () => {
  beforeEach(beHealthy)

  it('is half open when a host is ready, and closed after the known answer and three commands', () => {
    circuit.trip(now, 'host ended')
    circuit.ready(now)
    expect([circuit.state, circuit.serving, circuit.takesTrials]).toEqual(['probing', false, false])
    circuit.canarySucceeded(now)
    expect([circuit.state, circuit.takesTrials]).toEqual(['probing', true])
    succeed(2)
    expect(circuit.state).toBe('probing')
    succeed(1)
    expect(states).toEqual(['open', 'probing', 'healthy'])
  })

  it('is closed by known answers alone where there are no callers', () => {
    circuit.trip(now, 'host ended')
    circuit.ready(now)
    circuit.canarySucceeded(now)
    circuit.canarySucceeded(now + SECOND)
    expect(circuit.state).toBe('healthy')
  })

  it('is open again at the first fault of a half-open token', () => {
    circuit.trip(now, 'host ended')
    circuit.ready(now)
    circuit.canarySucceeded(now)
    expect(circuit.failed(now, 'token: CKR_DEVICE_ERROR')).toBe(true)
    expect(circuit.state).toBe('open')
  })

  it('waits longer after each failure, but never longer than a second and a half', () => {
    circuit.trip(now, 'host ended')
    const waits = [circuit.retryAtMs - now]
    for (let attempt = 0; attempt < 7; attempt++) {
      now = circuit.retryAtMs
      circuit.startFailed(now, 'no token')
      waits.push(circuit.retryAtMs - now)
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_500, 1_500, 1_500, 1_500])
  })

  it('draws its wait from nothing to the whole of it', () => {
    die = 0
    circuit.trip(now, 'host ended')
    expect(circuit.retryAtMs - now).toBe(20)
    die = 0.5
    circuit.startFailed(now, 'no token')
    expect(circuit.retryAtMs - now).toBe(100)
  })
})

describe('a token that fails again and again', () => {
  const relapse = () => {
    circuit.trip(now, 'host ended')
    const waitMs = circuit.retryAtMs - now
    circuit.ready(now)
    circuit.canarySucceeded(now)
    let commands = 0
    for (; circuit.state === 'probing'; commands++) succeed(1)
    return { waitMs, commands }
  }

  it('waits longer and has more to prove each time, until it has been well for half a minute', () => {
    beHealthy()
    now += 60 * SECOND
    const rounds = [relapse(), relapse(), relapse(), relapse()]
    expect(rounds.map(({ commands }) => commands)).toEqual([3, 6, 12, 12])
    expect(rounds.map(({ waitMs }) => waitMs)).toEqual([100, 200, 400, 800])
    now += 30 * SECOND
    expect(relapse()).toEqual({ waitMs: 100, commands: 3 })
  })
})

describe('a refused PIN', () => {
  it('locks the token out until an operator unlocks it', () => {
    circuit.lockOut(now, 'PIN refused')
    circuit.ready(now)
    circuit.trip(now, 'host ended')
    expect([circuit.state, circuit.reason]).toEqual(['locked-out', 'PIN refused'])
    circuit.unlock(now)
    expect([circuit.state, circuit.retryAtMs]).toEqual(['starting', now])
  })
})

describe('a token that lacks a host', () => {
  it('is degraded until it has it again', () => {
    beHealthy()
    circuit.impaired(now, 'it lacks a host')
    expect([circuit.state, circuit.reason]).toEqual(['degraded', 'it lacks a host'])
    now += SECOND
    circuit.impaired(now, undefined)
    expect(circuit.state).toBe('healthy')
  })
})

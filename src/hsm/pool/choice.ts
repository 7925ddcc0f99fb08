/**
 * Which lane of which token gets a command. A token that is half open gets one command at a time to try it; otherwise the
 * lane that is expected to be done first gets it, and among those that are nearly free, the one that is at work already. A
 * command that may have ended a host is best alone: it is not sent behind others while a lane as quick is free.
 */
import type { Errand } from './errand.ts'
import type { Lane } from './lane.ts'
import type { Member } from './member.ts'

/**
 * Lanes that would be done sooner than this count as equally free, and the one that is at work already gets the command: its
 * host is awake, and its frames travel together. Waking another one costs both worlds more than the wait. Tokens that have
 * nothing to do take turns.
 */
const FREE_BELOW_MS = 1
/** What a command is thought to take longer on a token that is degraded: it gets what the others have no room for. */
const DEGRADED_MS = 5

/** The lane that a command goes to; undefined when none can take it now. `turn` tells whose turn it is among idle tokens. */
export function chooseLane(members: readonly Member[], errand: Errand, turn: number): Lane | undefined {
  return trialLane(members, errand) ?? bestLane(members, errand, turn, true) ?? bestLane(members, errand, turn, false)
}

/** Whether any token that is at work could serve this command, now or once it has room. */
export function isServed(members: readonly Member[], errand: Errand): boolean {
  return members.some(member => (member.circuit.serving || member.circuit.takesTrials) && member.mayServe(errand))
}

/** A command that may have ended a host tries no token that is on trial itself. */
function trialLane(members: readonly Member[], errand: Errand): Lane | undefined {
  if (errand.deaths > 0) return undefined
  for (const member of members) {
    if (!member.circuit.takesTrials || member.inFlight > 0 || !eligible(member, errand, true)) continue
    return freeLaneOf(member, errand)
  }
  return undefined
}

function freeLaneOf({ lanes }: Member, errand: Errand): Lane | undefined {
  return lanes.find(lane => lane.takes(errand))
}

function bestLane(members: readonly Member[], errand: Errand, turn: number, elsewhere: boolean): Lane | undefined {
  let best: Lane | undefined
  let bestMs = Number.POSITIVE_INFINITY
  for (let at = 0; at < members.length; at += 1) {
    const member = members[(turn + at) % members.length]
    if (member === undefined || !member.circuit.serving || !eligible(member, errand, elsewhere)) continue
    const lane = bestLaneOf(member, errand)
    if (lane === undefined) continue
    const ms = lane.expectedMs + (member.state === 'degraded' ? DEGRADED_MS : 0)
    const equallyFree = errand.deaths === 0 && ms < FREE_BELOW_MS && bestMs < FREE_BELOW_MS
    if (best === undefined || (equallyFree ? lane.inFlight > best.inFlight : ms < bestMs)) {
      best = lane
      bestMs = ms
    }
  }
  return best
}

/** Among lanes of one token that are equally free, one that was sent the EKT before spares it an unwrapping. */
function bestLaneOf(member: Member, errand: Errand): Lane | undefined {
  let best: Lane | undefined
  for (const lane of member.lanes) {
    if (lane.takes(errand) && (best === undefined || isBetter(lane, best, errand))) best = lane
  }
  return best
}

function isBetter(lane: Lane, best: Lane, { ekt, deaths }: Errand): boolean {
  const bothIdle = lane.inFlight === 0 && best.inFlight === 0
  const bothFree = deaths === 0 && lane.expectedMs < FREE_BELOW_MS && best.expectedMs < FREE_BELOW_MS
  if (!bothIdle && !bothFree) return lane.expectedMs < best.expectedMs
  if (lane.inFlight !== best.inFlight) return lane.inFlight > best.inFlight
  return ekt !== undefined && lane.holds(ekt) && !best.holds(ekt)
}

/** Tokens that hold what the command needs; with `elsewhere`, not the one whose fault it met last. */
function eligible(member: Member, errand: Errand, elsewhere: boolean): boolean {
  if (elsewhere && errand.lastFault?.label === member.label) return false
  return member.mayServe(errand)
}

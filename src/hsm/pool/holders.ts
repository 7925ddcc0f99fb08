/** Which tokens can serve a command: those that hold every HBK it works with. A wrapped HBK is held by all of the region. */
import type { Args, CommandName } from '../contract/commands.ts'
import type { EktReference } from '../contract/fields.ts'

/** Serials of the only tokens that can serve a command; undefined when all of the region can. Empty when none can. */
export function holdersOf(args: Args<CommandName>): readonly string[] | undefined {
  const { ekt, source, destination } = args as Partial<Record<'ekt' | 'source' | 'destination', EktReference>>
  const first = ekt?.holders ?? source?.holders
  const second = destination?.holders
  if (first === undefined || second === undefined) return first ?? second
  return first.filter(serial => second.includes(serial))
}

/** `strongroom ceremony …`: the ceremonies that wait for officers, and their approvals (docs/dual-control.md). */
import type { Command } from 'commander'
import type { ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import { withApprovalParts } from '../ceremonies/approval-parts.ts'
import { approve, cancel, readRequest, requireRequest, validApprovals } from '../ceremonies/approvals.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { readSmallFile } from '../read-small-file.ts'

interface Options {
  readonly config: string
}
interface OutputOptions extends Options {
  readonly output: 'text' | 'json'
}

/** Requests that `list` prints at most. */
const LISTED_MAX = 1_000

export function addCeremony(program: Command): void {
  const ceremony = program
    .command('ceremony')
    .description('dual control: ceremonies that wait for the approval of officers')

  ceremony
    .command('list')
    .description('list requests that wait or were started and are not done, the newest first')
    .addOption(configurationOption())
    .addOption(outputOption())
    .option('--all', 'those that are done or were cancelled, too')
    .action(async ({ config, output, all }: OutputOptions & { readonly all?: true }) => {
      const states = all === true ? (['open', 'started', 'done', 'cancelled'] as const) : (['open', 'started'] as const)
      const rows = await withApprovalParts(config, async ({ store: { reader }, clock }) => {
        const dualControl = await reader.findDualControl()
        const requests = await reader.listApprovalRequests(states, LISTED_MAX)
        return requests.map(request => summarise(request, dualControl, clock()))
      })
      printRecords(output, rows)
    })

  ceremony
    .command('show <REQUEST>')
    .description('print the text that officers sign, and who has approved it')
    .addOption(configurationOption())
    .option('--text', 'print the text alone, byte for byte, to sign it from here')
    .action(async (id: string, { config, text }: Options & { readonly text?: true }) => {
      const { request, dualControl } = await withApprovalParts(config, async ({ store: { reader } }) => ({
        request: await requireRequest(reader, id),
        dualControl: await reader.findDualControl(),
      }))
      process.stdout.write(request.text)
      if (text === true) return
      process.stdout.write('\n')
      printRecords('text', describeApprovals(request, dualControl))
    })

  ceremony
    .command('approve <REQUEST>')
    .description("hand in an officer's signature over the text of a request")
    .addOption(configurationOption())
    .requiredOption('--signature <FILE>', 'what ssh-keygen -Y sign -n strongroom-ceremony wrote')
    .action(async (id: string, { config, signature }: Options & { readonly signature: string }) => {
      const armoured = readSmallFile(signature)
      const { officer, approvals } = await withApprovalParts(config, parts => approve(parts, id, armoured))
      process.stdout.write(`request ${id}: approved by ${officer}; it has ${approvals} valid approvals\n`)
    })

  ceremony
    .command('cancel <REQUEST>')
    .description('end a request; what an interrupted ceremony has done stays as it is')
    .addOption(configurationOption())
    .action(async (id: string, { config }: Options) => {
      await withApprovalParts(config, async ({ store, requests }) => requests.remove(await cancel(store, id)))
      process.stdout.write(`request ${id}: cancelled\n`)
    })
}

function summarise(request: ApprovalRequest, { officers }: DualControl, nowMs: number) {
  const asked = readRequest(request)
  const expired = request.state === 'open' && asked !== undefined && nowMs >= asked.expiresAtMs
  const decided = request.state === 'done' || request.state === 'cancelled'
  // What a ceremony was run on is history; what one waits for is counted among the officers of today.
  const counting = decided ? request.approvals.filter(({ counted }) => counted) : validApprovals(request, officers)
  return {
    request: request.id,
    state: asked === undefined ? 'damaged' : expired ? 'expired' : request.state,
    command: asked?.command ?? '',
    arguments: Object.entries(asked?.args ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join(' '),
    approvals: counting.map(({ officer }) => officer).join(','),
    expires: asked === undefined ? '' : new Date(asked.expiresAtMs).toISOString(),
  }
}

function describeApprovals(request: ApprovalRequest, { officers }: DualControl) {
  const valid = new Set(validApprovals(request, officers).map(({ fingerprint }) => fingerprint))
  return request.approvals.map(({ officer, fingerprint, approvedAtMs, counted }) => ({
    ...{ officer, fingerprint, approved: new Date(approvedAtMs).toISOString() },
    valid: valid.has(fingerprint) ? 'yes' : 'no',
    counted: counted ? 'yes' : 'no',
  }))
}

/** What `./scripts/start` does once everything is installed: tokens and domain on first use, then the daemon, until Ctrl-C. */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { loadConfiguration } from '../src/config/load.ts'
import { prepareInstance, readCredentials, startDaemon } from './instance.ts'

const DEFAULT_HOME = fileURLToPath(new URL('../var', import.meta.url))
const KMS_PORT = 7600
const ADMIN_PORT = 7601

new Command('start')
  .description(
    'run Strongroom on SoftHSM tokens, to try it out. State lives in ./var, or in the folder that STRONGROOM_HOME names; a second run keeps it.',
  )
  .parse()

// Ctrl-C reaches the daemon as well; this process stays until the daemon has drained.
const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

try {
  await start(resolve(process.env.STRONGROOM_HOME || DEFAULT_HOME))
} catch (error) {
  process.stderr.write(
    `strongroom: ${stop.signal.aborted ? 'stopped before it was ready' : (error as Error).message}\n`,
  )
  process.exit(1)
}

async function start(dir: string): Promise<void> {
  process.stderr.write(`strongroom: state in ${dir}\n`)
  const plan = { dir, regions: ['on-prem-1'], tokensPerRegion: 2, port: KMS_PORT, adminPort: ADMIN_PORT }
  const configurationPath = await prepareInstance(plan, stop.signal)
  const daemon = await startDaemon(configurationPath, stop.signal)
  const { account, regions } = loadConfiguration(configurationPath)
  const { accessKeyId, secretAccessKey } = readCredentials(dir)
  const region = regions[0]?.name
  process.stdout.write(`
Strongroom is ready. Ctrl-C stops it; everything is kept in ${dir}.

  KMS endpoint   ${daemon.endpoint}   region ${region}, account ${account}
  Admin          ${daemon.adminEndpoint}   /metrics /healthz /readyz
  Access key     ${accessKeyId}
  Secret key     ${secretAccessKey}

Try it in another terminal:

  export AWS_ACCESS_KEY_ID=${accessKeyId}
  export AWS_SECRET_ACCESS_KEY=${secretAccessKey}
  export AWS_DEFAULT_REGION=${region}
  aws --endpoint-url ${daemon.endpoint} kms create-key --description "my first key"

The tokens are SoftHSM's and their PINs, the SO PIN among them, lie in files in ${dir}/hsm/pins:
this is for trying out. README.md says how to go to production.

`)
  const how = await daemon.ended
  process.exit(how === 0 ? 0 : 1)
}

/** The audit log forwarded to a real rsyslog, over TLS with certificates on both sides, which is restarted in between. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { listLogFiles } from '../../src/audit/log-files.ts'
import type { Verdict } from '../../src/audit/verify.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { startLoad } from '../support/load.ts'
import { waitUntil } from '../support/processes.ts'
import { type Rsyslog, startRsyslog } from '../support/rsyslog.ts'
import { REGION } from '../support/tokens.ts'

const SOON_MS = 120_000
/** What rsyslog takes when nothing is said. */
const DEFAULT_MAX_BYTES = 8_192
/** Letters of several bytes, a control character that JSON leaves as it is, and what looks like a frame. */
const STRANGE = 'é\u{1f511}\u007f\ufeff 12 <110>1 - %msg%'
const RESTARTS = 2
const LANES = 4

let instance: Instance
let rsyslog: Rsyslog
let daemon: Serving
let kms: KMS

beforeAll(async () => {
  instance = await makeInstance(['a'])
  const folder = join(instance.folder, 'rsyslog')
  mkdirSync(folder)
  rsyslog = await startRsyslog(folder)
  const syslog = { host: 'localhost', port: rsyslog.port, ...rsyslog.sender }
  instance.configure(['a'], { audit: { maxFileMb: 1, forward: { syslog } } })
  expect(await instance.init()).toMatchObject({ code: 0 })
  daemon = await instance.serve()
  const credentials = readCredentials(instance.stateDir)
  kms = new KMS({ endpoint: daemon.endpoint, region: REGION, credentials, maxAttempts: 1 })
}, 2 * SOON_MS)

afterAll(async () => {
  kms?.destroy()
  await rsyslog?.stop()
  instance?.remove()
})

/** The lines of the log's files, in their order. */
const allLines = async () =>
  (await listLogFiles(join(instance.stateDir, 'audit'))).flatMap(path =>
    readFileSync(path, 'utf8').split('\n').slice(0, -1),
  )

it(
  'gets every line whole, and all of them when it was restarted while they came',
  async () => {
    const { KeyMetadata } = await kms.createKey({})
    const KeyId = KeyMetadata!.KeyId!
    const EncryptionContext = { strange: STRANGE, long: 'x'.repeat(DEFAULT_MAX_BYTES - 100) }
    await kms.encrypt({ KeyId, Plaintext: Buffer.from('x'), EncryptionContext })
    const load = startLoad(LANES, async () => {
      await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })
    })
    for (let restart = 0; restart < RESTARTS; restart += 1) {
      const before = new Set(rsyslog.lines()).size
      await waitUntil(() => new Set(rsyslog.lines()).size > before + 100, SOON_MS, rsyslog.complaints)
      await rsyslog.stop()
      const answered = load.answered()
      await waitUntil(() => load.answered() > answered + 100, SOON_MS)
      await rsyslog.start()
    }
    const before = new Set(rsyslog.lines()).size
    await waitUntil(() => new Set(rsyslog.lines()).size > before, SOON_MS, rsyslog.complaints)
    expect(await load.stop()).toMatchObject({ failures: [] })
    process.kill(daemon.pid, 'SIGTERM')
    await daemon.ended
    await rsyslog.stop()

    const sent = await allLines()
    const received = rsyslog.lines()
    expect(sent.some(line => line.length > DEFAULT_MAX_BYTES && line.includes(STRANGE))).toBe(true)
    expect([...new Set(received)]).toEqual(sent)
    const { code, stdout } = await instance.run(['audit', 'verify', '--forwarded', '--output', 'json', rsyslog.path])
    expect([code, (JSON.parse(stdout) as Verdict).findings]).toEqual([0, []])
  },
  3 * SOON_MS,
)

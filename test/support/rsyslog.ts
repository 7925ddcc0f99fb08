/** A rsyslogd of the test's own: Debian's, in the foreground, with the configuration of config/rsyslog on paths of the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { waitUntil } from './processes.ts'
import { run } from './sandbox.ts'

const RSYSLOGD = '/usr/sbin/rsyslogd'
const SAMPLE = fileURLToPath(new URL('../../config/rsyslog/strongroom-audit.conf', import.meta.url))
/** What the sample calls the daemons that may send. */
const SENDER = 'strongroom.example.com'
const STARTS = 5
/** Below those that the system gives out (ip_local_port_range). */
const FIRST_PORT = 20_000
const LAST_PORT = 32_000
const PATIENCE_MS = 60_000

/** PEM files: what a daemon's `audit.forward.syslog` names. */
export interface SenderFiles {
  readonly caFile: string
  readonly certificateFile: string
  readonly keyFile: string
}

export interface Rsyslog {
  readonly port: number
  readonly sender: SenderFiles
  /** The file that lines are written to. */
  readonly path: string
  readonly lines: () => string[]
  /** What it has complained about. */
  readonly complaints: () => string
  start(): Promise<void>
  /** Resolves when it has ended. */
  stop(): Promise<void>
}

/** Starts it on a free port of 127.0.0.1, for `localhost`. */
export async function startRsyslog(folder: string): Promise<Rsyslog> {
  const files = await makeCertificates(folder)
  // A port that was free a moment ago may be that of another test by now.
  for (let attempt = 1; ; attempt += 1) {
    const rsyslog = prepare(folder, files, await freePort())
    try {
      await rsyslog.start()
      return rsyslog
    } catch (error) {
      await rsyslog.stop()
      if (attempt === STARTS) throw error
    }
  }
}

function prepare(folder: string, { ca, server, sender }: Certificates, port: number): Rsyslog {
  const work = join(folder, 'work')
  const path = join(folder, 'audit.jsonl')
  const config = join(folder, 'rsyslog.conf')
  mkdirSync(work, { recursive: true })
  const places = {
    '/var/spool/rsyslog': work,
    '/etc/rsyslog/strongroom/ca.pem': ca.certificate,
    '/etc/rsyslog/strongroom/server.pem': server.certificate,
    '/etc/rsyslog/strongroom/server.key': server.key,
    '/var/log/strongroom/audit.jsonl': path,
    'port="6514"': `port="${port}" address="127.0.0.1"`,
  }
  let text = readFileSync(SAMPLE, 'utf8')
  for (const [from, to] of Object.entries(places)) {
    if (!text.includes(from)) throw new Error(`${SAMPLE} has no ${from}`)
    text = text.replace(from, to)
  }
  writeFileSync(config, text)
  let child: ChildProcess | undefined
  let complaints = ''
  let ended: Promise<unknown> = Promise.resolve()
  return {
    ...{ port, path, sender: { caFile: ca.certificate, certificateFile: sender.certificate, keyFile: sender.key } },
    lines: () => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []),
    complaints: () => complaints,
    async start() {
      const started = spawn(RSYSLOGD, ['-n', '-f', config, '-i', join(folder, 'rsyslogd.pid')])
      child = started
      let running = true
      ended = new Promise<void>(resolve => {
        started.once('close', () => resolve())
        started.once('error', error => {
          complaints += error.message
          resolve()
        })
      }).then(() => {
        running = false
      })
      for (const stream of [started.stdout, started.stderr])
        stream.setEncoding('utf8').on('data', data => {
          complaints += data
        })
      const listens = async () => !running || (await accepts(port))
      await waitUntil(listens, PATIENCE_MS, () => `rsyslogd does not listen: ${complaints}`)
      if (!running) throw new Error(`rsyslogd ended: ${complaints}`)
    },
    async stop() {
      child?.kill('SIGTERM')
      const impatience = setTimeout(() => child?.kill('SIGKILL'), PATIENCE_MS)
      await ended
      clearTimeout(impatience)
    },
  }
}

interface Pair {
  readonly certificate: string
  readonly key: string
}

interface Certificates {
  readonly ca: Pair
  readonly server: Pair
  readonly sender: Pair
}

/** An authority, and certificates of the server and of a daemon that it has signed. */
async function makeCertificates(folder: string): Promise<Certificates> {
  const make = async (name: string, host: string, issuer?: Pair): Promise<Pair> => {
    const pair = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', pair.key]
    const kind = issuer === undefined ? 'critical,CA:TRUE' : 'critical,CA:FALSE'
    const extensions = ['-addext', `subjectAltName=DNS:${host}`, '-addext', `basicConstraints=${kind}`]
    const signer = issuer === undefined ? [] : ['-CA', issuer.certificate, '-CAkey', issuer.key]
    const subject = ['-subj', `/CN=${host}`, '-days', '2', '-out', pair.certificate]
    const made = await run('/usr/bin/openssl', ['req', '-x509', ...key, ...extensions, ...signer, ...subject])
    if (made.code !== 0) throw new Error(made.stderr)
    return pair
  }
  const ca = await make('ca', 'authority')
  return { ca, server: await make('server', 'localhost', ca), sender: await make('sender', SENDER, ca) }
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Not one that the system gives out: nobody takes it while the server is restarted. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Keys of officers, and their signatures, made by OpenSSH's own ssh-keygen. */
import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findSoftHsm } from '../../softhsm/tokens.ts'

export interface SshKey {
  /** The private key's file; its public key lies beside it as .pub. */
  readonly path: string
  readonly publicKeyFile: string
  readonly publicKey: string
}

/** `kind` as ssh-keygen's -t and -b want it, such as `ed25519` or `rsa 3072`. */
export function makeSshKey(folder: string, name: string, kind = 'ed25519'): SshKey {
  const path = join(folder, name)
  const [type = '', bits] = kind.split(' ')
  const size = bits === undefined ? [] : ['-b', bits]
  execFileSync('ssh-keygen', ['-q', '-t', type, ...size, '-N', '', '-C', `${name} of the tests`, '-f', path])
  const publicKeyFile = `${path}.pub`
  return { path, publicKeyFile, publicKey: readFileSync(publicKeyFile, 'utf8') }
}

export interface SigningOptions {
  readonly namespace?: string
  readonly hash?: 'sha256' | 'sha512'
}

/** The armoured signature, as an officer makes it. */
export function signWithSsh({ path }: SshKey, message: string, options: SigningOptions = {}): string {
  const { namespace = 'strongroom-ceremony', hash } = options
  const chosen = hash === undefined ? [] : ['-O', `hashalg=${hash}`]
  const args = ['-q', '-Y', 'sign', '-n', namespace, ...chosen, '-f', path]
  return execFileSync('ssh-keygen', args, { input: message, encoding: 'utf8' })
}

/** Whether ssh-keygen itself takes a signature, which says that a test made it right. */
export function sshAccepts(folder: string, publicKey: string, signature: string, message: string): boolean {
  const [allowed, signed] = [join(folder, 'allowed-signers'), join(folder, 'signature')]
  writeFileSync(allowed, `officer ${publicKey}\n`)
  writeFileSync(signed, signature)
  const args = ['-Y', 'verify', '-f', allowed, '-I', 'officer', '-n', 'strongroom-ceremony', '-s', signed]
  return spawnSync('ssh-keygen', args, { input: message }).status === 0
}

/** `SHA256:…`, as ssh-keygen prints it. */
export function sshFingerprint(publicKeyFile: string): string | undefined {
  return execFileSync('ssh-keygen', ['-l', '-f', publicKeyFile], { encoding: 'utf8' }).split(' ')[1]
}

const CARD_PIN = 'pin-of-the-card'

/** An officer's card: an EC key that never leaves a SoftHSM token, as it would not leave a PIV card. */
export interface CardKey {
  readonly publicKeyFile: string
  /** As an officer does: the card is loaded into an ssh-agent, which signs. */
  sign(message: string): string
}

export function makeCardKey(folder: string, name: string): CardKey {
  // The agent loads what it is allowed to by its real path.
  const modulePath = realpathSync(findSoftHsm())
  const file = (end: string) => join(folder, `${name}${end}`)
  const { SOFTHSM2_CONF, SSH_ASKPASS } = { SOFTHSM2_CONF: file('-token.conf'), SSH_ASKPASS: file('-askpass') }
  const env = { ...process.env, SOFTHSM2_CONF, SSH_ASKPASS, SSH_ASKPASS_REQUIRE: 'force' }
  const run = (program: string, args: readonly string[], input = '') =>
    execFileSync(program, args, { encoding: 'utf8', env, stdio: ['pipe', 'pipe', 'pipe'], input })

  mkdirSync(file('-tokens'))
  const template = readFileSync(new URL('../../softhsm/softhsm2.conf.template', import.meta.url), 'utf8')
  writeFileSync(SOFTHSM2_CONF, template.replace('@TOKENS@', file('-tokens')))
  writeFileSync(SSH_ASKPASS, `#!/bin/sh\necho ${CARD_PIN}\n`, { mode: 0o700 })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  writeFileSync(file('.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const pins = ['--pin', CARD_PIN, '--so-pin', `${CARD_PIN}-of-so`]
  run('softhsm2-util', ['--init-token', '--free', '--label', name, ...pins])
  const object = ['--token', name, '--label', name, '--id', '01', '--pin', CARD_PIN]
  run('softhsm2-util', ['--import', file('.pem'), ...object])
  rmSync(file('.pem'))

  const publicKeyFile = file('.pub')
  writeFileSync(publicKeyFile, run('ssh-keygen', ['-D', modulePath]))
  const steps = 'ssh-add -q -s "$1" && exec ssh-keygen -q -Y sign -n strongroom-ceremony -f "$2"'
  const agent = ['-P', modulePath, 'sh', '-c', steps, 'sh', modulePath, publicKeyFile]
  return { publicKeyFile, sign: message => run('ssh-agent', agent, message) }
}

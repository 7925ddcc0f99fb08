/** Keys of officers, and their signatures, made by OpenSSH's own ssh-keygen. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

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

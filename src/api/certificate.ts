/**
 * The certificate of the public listener, read from its files at the start, and again when they change. A pair that cannot
 * be used leaves the one in use as it is, and says so in the log.
 */

import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import { createSecureContext } from 'node:tls'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface CertificateFiles {
  /** PEM: the server's certificate, then those between it and its authority. */
  readonly certificateFile: string
  /** PEM, and nobody else's to read. */
  readonly keyFile: string
}

/** The certificate and its key cannot be used; the message says why, and names paths only. */
export class CertificateUnusable extends Error {
  override readonly name = 'CertificateUnusable'
}

const OTHERS_MASK = 0o027
const POLL_MS = 5_000
const MS_PER_SECOND = 1_000

/** TLS 1.3, and of TLS 1.2 what has forward secrecy and authenticates what it encrypts (RFC 9325 section 4.2). */
const CIPHERS = [
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':')

interface Pair {
  readonly cert: string
  readonly key: string
}

export class Certificate {
  readonly #files: CertificateFiles
  readonly #logger: Logger
  readonly #metrics: Metrics
  #pair: Pair
  /** What was complained about last, so that one bad pair is one line in the log. */
  #complaint: string | undefined

  /** Throws {@link CertificateUnusable}. */
  constructor(files: CertificateFiles, { logger, metrics }: { logger: Logger; metrics: Metrics }) {
    this.#files = files
    this.#logger = logger
    this.#metrics = metrics
    this.#pair = readPair(files)
    this.#announce()
  }

  get options(): SecureContextOptions {
    return optionsOf(this.#pair)
  }

  /** Looks for new files now and then, until the returned function is called. */
  watch(use: (options: SecureContextOptions) => void): () => void {
    const timer = setInterval(() => this.reload(use), POLL_MS).unref()
    return () => clearInterval(timer)
  }

  /** Reads the files, and hands the pair out when it is another one that can be used. */
  reload(use: (options: SecureContextOptions) => void): void {
    try {
      const pair = readPair(this.#files)
      this.#complaint = undefined
      if (pair.cert === this.#pair.cert && pair.key === this.#pair.key) return
      use(optionsOf(pair))
      this.#pair = pair
      this.#announce()
    } catch (error) {
      const reason = (error as Error).message
      if (reason === this.#complaint) return
      this.#complaint = reason
      this.#logger.error('certificate not reloaded: the one in use stays', { reason })
    }
  }

  #announce(): void {
    const { subject, subjectAltName, validTo, fingerprint256 } = new X509Certificate(this.#pair.cert)
    const facts = { subject, names: subjectAltName, validTo, fingerprint: fingerprint256 }
    const over = Date.parse(validTo) < Date.now()
    this.#metrics.certificateEnd.set(Date.parse(validTo) / MS_PER_SECOND)
    this.#logger[over ? 'warn' : 'info'](over ? 'the certificate has expired' : 'certificate in use', facts)
  }
}

function optionsOf({ cert, key }: Pair): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2', ciphers: CIPHERS, honorCipherOrder: true }
}

function readPair({ certificateFile, keyFile }: CertificateFiles): Pair {
  const cert = read(certificateFile)
  const key = read(keyFile)
  if ((statSync(keyFile).mode & OTHERS_MASK) !== 0)
    throw new CertificateUnusable(`key file ${keyFile} is open to other users: chmod 600 it`)
  const pair = { cert, key }
  try {
    createSecureContext(optionsOf(pair))
  } catch {
    throw new CertificateUnusable(`${certificateFile} and ${keyFile} are no certificate in PEM and its key`)
  }
  return pair
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new CertificateUnusable(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`)
  }
}

/**
 * The configuration file, field by field: type, default, bound and meaning stand together. An unknown field is a fault,
 * secrets are named by file and never given, and durations carry their unit.
 */
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { parsePkcs11Uri } from '../base/pkcs11-uri.ts'
import { REGION_NAME, REGION_NAME_MAX } from '../base/region.ts'
import { RATE_NAMES } from '../base/request-rates.ts'
import { ANY, GCM_IV_MAKERS, KDF_SCHEMES, KEY_WRAP_SCHEMES } from '../base/token-schemes.ts'

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const port = z.int().min(0).max(65_535)
const host = z.string().min(1).max(253)
const milliseconds = (min: number, max: number) => z.int().min(min).max(max)

const pkcs11Uri = z
  .string()
  .max(2_048)
  .superRefine((uri, context) => {
    try {
      parsePkcs11Uri(uri)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
    }
  })

const HOSTS_MAX = 16
const THREADS_MAX = 64

const token = z.strictObject({
  /** RFC 7512: which token in which module, and the file that holds its PIN (`pin-source`). */
  uri: pkcs11Uri,
  /** Environment that the module wants to see, such as SOFTHSM2_CONF. Only the HSM host gets it. */
  environment: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).default({}),
  /** Host processes and threads for this token, in the place of what `hsm` says. */
  hosts: z.int().min(1).max(HOSTS_MAX).optional(),
  threads: z.int().min(1).max(THREADS_MAX).optional(),
  /** The string that some modules want of C_Initialize, NSS for one; empty for none. */
  libraryParameters: z.string().max(2_048).default(''),
  /** Pins parts of what the self-tests of this token find. It never adds what they did not prove. */
  profile: z
    .strictObject({
      /** The one way that keys are wrapped. */
      wrapScheme: z.enum([ANY, ...KEY_WRAP_SCHEMES]).default(ANY),
      /** The one way that data encryption keys are derived. */
      kdf: z.enum([ANY, ...KDF_SCHEMES]).default(ANY),
      /** Who makes the IV of AES-GCM: the caller, or the token, which tells it in the parameter or after the tag. */
      gcmIv: z.enum([ANY, ...GCM_IV_MAKERS]).default(ANY),
    })
    .prefault({}),
})

const region = z.strictObject({
  /** As clients name it in their credential scope; AWS's pattern. */
  name: z.string().max(REGION_NAME_MAX).regex(REGION_NAME, 'must look like "on-prem-1"'),
  /** Tokens that share the region's domain. The first one creates it; `strongroom init` enrols the others. */
  tokens: z.array(token).min(1).max(64),
})

/** Service processes of one daemon: a checkpoint of the audit log names as many chains beside its own. */
const PROCESSES_MAX = 16

/** How many processes take connections: half of the cores where that is left to the machine, for HSM hosts work beside them. */
export function serviceProcessesOf(processes: number | 'auto'): number {
  if (processes !== 'auto') return processes
  return Math.min(PROCESSES_MAX, Math.max(1, Math.floor(availableParallelism() / 2)))
}

/** Requests a second by their name; a fraction is one request in so many seconds. */
const requestRates = z.partialRecord(z.enum(RATE_NAMES), z.number().min(0.01).max(1_000_000)).default({})

/** An absolute path; empty for none. */
const file = z
  .string()
  .max(4_096)
  .regex(/^(?:\/.*)?$/, 'must be an absolute path')

function isCollector(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || (protocol === 'http:' && loopback(hostname.replace(/^\[|\]$/g, '')))
}

/** Whether nobody but this machine reaches an address. */
export const loopback = (address: string) => ['127.0.0.1', '::1', 'localhost'].includes(address)

export const configuration = z
  .strictObject({
    /** Where the key store, the admin socket and the first credentials live. Mode 0700. */
    stateDir: z.string().startsWith('/', 'must be an absolute path'),
    /** The 12-digit account that `init` makes. */
    account: z
      .string()
      .regex(/^\d{12}$/, 'must have 12 digits')
      .default('000000000001'),
    /** The KMS API and STS. Without a certificate, plain HTTP is served, and on loopback only. */
    listen: z
      .strictObject({
        host: host.default('127.0.0.1'),
        port: port.default(7600),
        /** Both files or none; they are read again when they change. */
        tls: z
          .strictObject({
            /** PEM: the certificate, then those between it and its authority. */
            certificateFile: file.default(''),
            /** PEM; closed to other users. */
            keyFile: file.default(''),
          })
          .prefault({})
          .refine(({ certificateFile, keyFile }) => (certificateFile === '') === (keyFile === ''), {
            message: 'certificateFile and keyFile belong together',
          }),
        /** Secrets and plaintext then cross the network as they are. */
        allowPlainHttpBeyondLoopback: z.boolean().default(false),
        /** Processes that take connections, each with HSM hosts of its own; `auto`: one for every two cores. */
        processes: z.union([z.int().min(1).max(PROCESSES_MAX), z.literal('auto')]).default(1),
      })
      .prefault({})
      .refine(listen => loopback(listen.host) || listen.tls.keyFile !== '' || listen.allowPlainHttpBeyondLoopback, {
        path: ['host'],
        message: 'must be loopback: plain HTTP is not served elsewhere; give listen.tls a certificate',
      }),
    /** Metrics, health and readiness. They need no credential, so they stay on loopback. */
    admin: z
      .strictObject({ host: host.default('127.0.0.1'), port: port.default(7601) })
      .prefault({})
      .refine(({ host }) => loopback(host), { path: ['host'], message: 'must be loopback' }),
    /** The first region holds the HBK that seals access keys. */
    regions: z.array(region).min(1).max(32),
    log: z.strictObject({ level: z.enum(LOG_LEVELS).default('info') }).prefault({}),
    store: z
      .strictObject({
        /** Keys that memory answers for, and as many aliases. */
        cachedRecords: z.int().min(1_000).max(10_000_000).default(100_000),
        /** How often tokens are told how far the store has come: their memory wears. An older copy within it goes unnoticed. */
        anchorIntervalMs: milliseconds(1_000, 86_400_000).default(300_000),
      })
      .prefault({}),
    hsm: z
      .strictObject({
        /** HBK handles that a host keeps in its token; SoftHSM takes about 9 KB for each. */
        cachedHbks: z.int().min(16).max(1_000_000).default(16_000),
        /** After this long an EKT is verified and unwrapped again. */
        hbkLifetimeMs: milliseconds(1_000, 3_600_000).default(600_000),
        /** Commands of a region, in flight and waiting together; beyond it callers get ThrottlingException. */
        maxCommands: z.int().min(1).max(100_000).default(2_000),
        /** How long a command waits when no token can take it. */
        maxWaitMs: milliseconds(100, 60_000).default(800),
        /** Whether imported material may pass through an HSM host where no token unwraps by the algorithm, or its kind of key. */
        importInHost: z.boolean().default(true),
        healthIntervalMs: milliseconds(1_000, 60_000).default(2_000),
        /** The least that a host is given for any command; for tokens that are slow by nature. */
        deadlineFloorMs: milliseconds(0, 60_000).default(0),
        hostsPerToken: z.int().min(1).max(HOSTS_MAX).default(1),
        threadsPerHost: z.int().min(1).max(THREADS_MAX).default(1),
        /** Sessions that the hosts of one token may hold open together; 0 for as many as the token allows. */
        sessionsPerToken: z.int().min(0).max(100_000).default(0),
        /** A host is replaced by a fresh one, without a pause, after so many commands; 0 for never. */
        recycleAfterCommands: z.int().min(0).max(1_000_000_000).default(10_000_000),
        /** The same when it holds more resident memory than this, in megabytes. */
        recycleAfterMb: z.int().min(0).max(1_000_000).default(768),
        /** What hosts allocate memory with. Where jemalloc is not installed it is the system's allocator. */
        allocator: z.enum(['jemalloc', 'system']).default('jemalloc'),
      })
      .prefault({}),
    audit: z
      .strictObject({
        /** A file of the audit log that is larger is followed by another, at its next checkpoint. */
        maxFileMb: z.int().min(1).max(4_096).default(64),
        /** Whether events are on the disk before an answer leaves, and not only with the operating system. */
        syncToDisk: z.boolean().default(true),
        /** How often a checkpoint is signed, when there are events that none covers. */
        checkpointIntervalMs: milliseconds(100, 60_000).default(1_000),
        /** Days for which the key store holds events for those who ask; the files hold them for as long as they are kept. */
        storeDays: z.int().min(1).max(3_650).default(90),
        /** How much the key store holds of them at most, in megabytes: the oldest leave first. */
        storeMaxMb: z.int().min(16).max(1_000_000).default(4_096),
        /** How many refusals a second leave an event and a log line, of callers who have proved nothing; the others are counted. */
        unprovenRefusals: z
          .strictObject({
            /** Of one address; of a network of 64 bits for IPv6. */
            perSourcePerSecond: z.int().min(1).max(10_000).default(5),
            /** Of all together. */
            perSecond: z.int().min(1).max(100_000).default(20),
          })
          .prefault({}),
        /** Where all lines of the log are passed on to; both may be set. */
        forward: z
          .strictObject({
            /** RFC 5424 over TLS. */
            syslog: z
              .strictObject({
                /** Empty for none. Its certificate must be for this name. */
                host: z.string().max(253).default(''),
                port: port.default(6514),
                /** PEM: the authorities of its certificate, where they are not the system's. */
                caFile: file.default(''),
                /** PEM: a certificate of the daemon's own and its key, where the other side asks for one. */
                certificateFile: file.default(''),
                keyFile: file.default(''),
              })
              .prefault({})
              .refine(({ certificateFile, keyFile }) => (certificateFile === '') === (keyFile === ''), {
                message: 'certificateFile and keyFile belong together',
              }),
            /** Lines of JSON, by POST. */
            http: z
              .strictObject({
                /** Empty for none. Plain HTTP on loopback only. */
                url: z.string().max(2_048).default(''),
                /** PEM: the authorities of its certificate, where they are not the system's. */
                caFile: file.default(''),
                /** A file with the bearer token that is sent along; closed to other users. */
                tokenFile: file.default(''),
              })
              .prefault({})
              .refine(({ url }) => url === '' || isCollector(url), {
                path: ['url'],
                message: 'must be an https URL, or one of http on loopback',
              }),
          })
          .prefault({}),
      })
      .prefault({}),
    quotas: z
      .strictObject({
        /** Keys that an account can have in a region, in whatever state. AWS's number, as the next ones. */
        keysPerAccount: z.int().min(1).max(10_000_000).default(100_000),
        aliasesPerKey: z.int().min(1).max(10_000).default(50),
        grantsPerKey: z.int().min(1).max(50_000).default(50_000),
        tagsPerKey: z.int().min(1).max(1_000).default(50),
        /** The longest key policy, in bytes of UTF-8; AWS's model has no longer ones than the maximum. */
        keyPolicyBytes: z.int().min(1_024).max(131_072).default(32_768),
        /** Requests a second in a region; beyond it callers get ThrottlingException. */
        requests: z
          .strictObject({
            /** What holds for an account where `account` has no number: nothing, or AWS's own. */
            preset: z.enum(['none', 'aws']).default('none'),
            /** Of all principals of an account together. */
            account: requestRates,
            /** Of each user, role and service by itself; all sessions of a role are one. */
            principal: requestRates,
          })
          .prefault({}),
      })
      .prefault({}),
    telemetry: z
      .strictObject({
        /** Accounts with a label of their own in strongroom_requests_total: the first so many that call; the others are `other`. */
        accountLabels: z.int().min(0).max(1_000).default(20),
        /** Traces, by OTLP over HTTP. */
        otlp: z
          .strictObject({
            /** Where a collector takes them; empty for none. */
            endpoint: z
              .string()
              .max(2_048)
              .regex(/^(?:https?:\/\/\S+)?$/, 'must be an http or https URL')
              .default(''),
            /** One request in so many is traced. */
            sampledOneIn: z.int().min(1).max(1_000_000).default(100),
          })
          .prefault({}),
      })
      .prefault({}),
    domain: z
      .strictObject({
        /** Days for which backups are kept: so long an old version of the domain keys can open them, and then be destroyed. */
        retentionDays: z.int().min(0).max(3_650).default(35),
        /** Whether the regions share a domain for multi-Region keys, too; `auto`: when there is more than one and their tokens can. */
        multiRegion: z.enum(['auto', 'always', 'never']).default('auto'),
      })
      .prefault({}),
    jobs: z
      .strictObject({
        /** How often keys whose waiting period has ended are looked for. */
        deletionIntervalMs: milliseconds(1_000, 86_400_000).default(60_000),
        /** How often keys whose rotation is due are looked for. */
        rotationIntervalMs: milliseconds(1_000, 86_400_000).default(60_000),
        /** How often imported material that has expired is looked for. */
        expiryIntervalMs: milliseconds(1_000, 86_400_000).default(10_000),
      })
      .prefault({}),
  })
  .superRefine(({ regions }, context) => {
    const names = regions.map(({ name }) => name)
    const twice = names.find((name, at) => names.indexOf(name) !== at)
    if (twice !== undefined)
      context.addIssue({ code: 'custom', path: ['regions'], message: `region ${twice} is there twice` })
  })

export type Configuration = z.infer<typeof configuration>
/** How much there may be of what callers make. */
export type ResourceQuotas = Omit<Configuration['quotas'], 'requests'>

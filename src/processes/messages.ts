/** What the first process and service processes ask of each other. */
import type { HsmStatus } from '../admin/health.ts'
import type { MetricValues } from '../admin/scrape.ts'
import type { RateName } from '../base/request-rates.ts'
import type { Configuration } from '../config/schema.ts'
import type { TurnAnswer } from '../hsm/pool/start-turns.ts'
import type { StoreChange } from '../store/store.ts'
import type { ChainStanding } from './sibling-chains.ts'

interface Question<Ask, Answer = void> {
  readonly ask: Ask
  readonly answer: Answer
}

/** Where the service processes listen together. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** What a service process begins with. */
export interface Beginning {
  /** Which of the service processes it is, from 1. */
  readonly number: number
  /** The first process' own chain of the audit log. */
  readonly daemonChain: string
  readonly configuration: Configuration
  readonly listen: ListenAddress
  /** Whether another process takes connections, and this one may have its hosts start first. */
  readonly othersServe: boolean
}

/** An HBK that no host may hold any more. */
export interface Eviction {
  readonly region: string
  readonly digest: Uint8Array
}

/** Whose request is counted, and as what. */
export interface CountedRequest {
  readonly account: string
  readonly principalArn: string
  readonly region: string
  readonly rate: RateName
}

/** Why a request is too much. */
export interface RateRefusal {
  readonly message: string
  readonly detail: string | undefined
}

/** Asked by a service process of the first. */
export type AskedOfFirst = {
  /** A process is about to open the store: from here on it is told of changes. */
  readonly hello: Question<null, Beginning>
  /** It cannot begin, and ends. */
  readonly failed: Question<{ readonly reason: string }>
  /** It takes connections. */
  readonly serving: Question<{ readonly endpoint: string }>
  /** From the first time on, events that name the chain as theirs are left to the process. */
  readonly standing: Question<ChainStanding>
  /** Has the audit log of all processes put where it is looked for. */
  readonly settle: Question<null>
  /** Answered when no other process answers from what was changed. */
  readonly changed: Question<StoreChange>
  /** Answered when no host of another process holds the HBK. */
  readonly evict: Question<Eviction>
  readonly takeTurn: Question<{ readonly uri: string }, TurnAnswer>
  readonly endTurn: Question<{ readonly uri: string; readonly refusal: string | undefined }>
  readonly count: Question<CountedRequest, RateRefusal | undefined>
}

/** Asked by the first process of a service process. */
export type AskedOfService = {
  /** Answered when every region has a token that can serve: with the processes that do. */
  readonly whenReady: Question<{ readonly timeoutMs: number }, { readonly hostPids: readonly number[] }>
  readonly forget: Question<StoreChange>
  readonly evict: Question<Eviction>
  readonly unlock: Question<{ readonly region: string; readonly hsm: string }, boolean>
  /** Has its own audit log put where it is looked for. */
  readonly settle: Question<null>
  readonly reloadCertificate: Question<null>
  readonly metrics: Question<null, MetricValues>
  readonly status: Question<null, HsmStatus>
  /** To finish what it has and to end. */
  readonly drain: Question<null>
}

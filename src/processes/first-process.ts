/** The first process of the daemon as a service process sees it: what only it has, and through it the other processes. */

import type { Throttling } from '../api/throttle.ts'
import type { HsmPool, PoolSiblings } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'
import type { Store, StoreSiblings } from '../store/store.ts'
import { Channel, type Handlers, type Port } from './channel.ts'
import type { AskedOfFirst, AskedOfService } from './messages.ts'

/** What is there to be asked about, as far as it has been built. */
export interface Built {
  store?: Pick<Store, 'heed'>
  pools?: ReadonlyMap<string, Pick<HsmPool, 'evictHere'>>
}

type Later = Omit<Handlers<AskedOfService>, 'forget' | 'evict'>

export class FirstProcess {
  /** Filled in by whoever builds this process. */
  readonly built: Built = {}
  readonly #channel: Channel<AskedOfFirst, AskedOfService>
  readonly #later = Promise.withResolvers<Later>()

  constructor(port: Port) {
    const later = async () => this.#later.promise
    this.#channel = new Channel(port, {
      forget: change => this.built.store?.heed(change),
      evict: async ({ region, digest }) => this.built.pools?.get(region)?.evictHere(Buffer.from(digest)),
      whenReady: async ask => (await later()).whenReady(ask),
      settle: async ask => (await later()).settle(ask),
      unlock: async ask => (await later()).unlock(ask),
      reloadCertificate: async ask => (await later()).reloadCertificate(ask),
      metrics: async ask => (await later()).metrics(ask),
      status: async ask => (await later()).status(ask),
      drain: async ask => (await later()).drain(ask),
    })
  }

  /** Rejects with ChannelFailed. */
  ask<N extends keyof AskedOfFirst>(name: N, body: AskedOfFirst[N]['ask']): Promise<AskedOfFirst[N]['answer']> {
    return this.#channel.ask(name, body)
  }

  /** From here on all that is asked of a process that serves is answered. */
  answer(handlers: Later): void {
    this.#later.resolve(handlers)
  }

  get ofStore(): StoreSiblings {
    return { changed: change => this.ask('changed', change) }
  }

  get ofPools(): PoolSiblings {
    return {
      turns: {
        take: uri => this.ask('takeTurn', { uri }),
        end: (uri, refusal) => void this.ask('endTurn', { uri, refusal }).catch(() => {}),
      },
      evict: (region, digest) => this.ask('evict', { region, digest }),
    }
  }

  /** Rates of requests, which the first process counts for all: where none is configured, nobody is asked. */
  throttling(limited: boolean): Throttling {
    return {
      count: ({ account, principalArn }, region, rate) =>
        limited ? this.#count({ account, principalArn, region, rate }) : undefined,
    }
  }

  async #count(request: AskedOfFirst['count']['ask']): Promise<void> {
    const refusal = await this.ask('count', request)
    if (refusal === undefined) return
    const { message, detail } = refusal
    throw new KmsError('ThrottlingException', message, detail === undefined ? {} : { detail })
  }
}

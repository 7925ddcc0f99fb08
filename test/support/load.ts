/** Requests one after the other in several lanes, for as long as a test wants, with what became of them. */

export interface LoadResult {
  readonly answered: number
  readonly failures: readonly Error[]
  readonly slowestMs: number
}

export interface Load {
  /** How many have been answered so far. */
  answered(): number
  /** Waits for the requests on their way. */
  stop(): Promise<LoadResult>
}

/** Runs `request` again and again in each lane. It gets the number of its lane. */
export function startLoad(lanes: number, request: (lane: number) => Promise<unknown>): Load {
  let stopped = false
  let answered = 0
  let slowestMs = 0
  const failures: Error[] = []
  const run = async (lane: number) => {
    while (!stopped) {
      const startedAt = performance.now()
      try {
        await request(lane)
        answered += 1
      } catch (error) {
        failures.push(error as Error)
      }
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
    }
  }
  const running = Array.from({ length: lanes }, (_, lane) => run(lane))
  return {
    answered: () => answered,
    async stop() {
      stopped = true
      await Promise.all(running)
      return { answered, failures, slowestMs }
    },
  }
}

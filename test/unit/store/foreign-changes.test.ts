/** Looks at what others have committed that come while a commit of this process is under way, when nobody can tell whose is seen. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { Database } from '../../../src/store/dialects/database.ts'
import { ForeignChanges } from '../../../src/store/foreign-changes.ts'

const LONG_MS = 500
const SHORT_MS = 50

describe('a look in the middle of a commit of our own', () => {
  let commits: number | undefined
  let forgotten: number
  let confirmed: number
  let changes: ForeignChanges

  beforeEach(() => {
    jest.useFakeTimers()
    commits = 1
    forgotten = 0
    confirmed = 0
    changes = new ForeignChanges({
      database: { foreignCommits: () => commits } as Database,
      view: {
        confirmed() {
          confirmed += 1
        },
        failed() {},
      },
      onChange() {
        forgotten += 1
      },
    })
  })

  afterEach(() => {
    changes.stop()
    jest.useRealTimers()
  })

  it('forgets nothing and confirms nothing, and comes again at once', () => {
    commits = undefined
    jest.advanceTimersByTime(LONG_MS)
    expect({ forgotten, confirmed }).toEqual({ forgotten: 0, confirmed: 0 })
    commits = 1
    jest.advanceTimersByTime(SHORT_MS)
    expect({ forgotten, confirmed }).toEqual({ forgotten: 0, confirmed: 1 })
  })

  it('does not hide what somebody else has committed', () => {
    commits = undefined
    jest.advanceTimersByTime(LONG_MS)
    commits = 2
    jest.advanceTimersByTime(SHORT_MS)
    expect({ forgotten, confirmed }).toEqual({ forgotten: 1, confirmed: 1 })
  })

  it('forgets all when somebody waits for it', () => {
    commits = undefined
    changes.look()
    expect({ forgotten, confirmed }).toEqual({ forgotten: 1, confirmed: 1 })
  })
})

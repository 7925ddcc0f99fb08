/** Requests about access keys. */
import { z } from 'zod'
import type { AccessKeyUses } from '../../identities/access-key-uses.ts'
import type { AccessKeys, ListedAccessKey } from '../../identities/access-keys.ts'
import { account, change, look, moment, name } from './request.ts'

const owner = z.strictObject({ account, kind: z.enum(['user', 'service', 'root']).default('user'), name })
const accessKey = owner.extend({ accessKeyId: z.string().max(64) })

export function accessKeyRequests(accessKeys: AccessKeys, uses: AccessKeyUses) {
  const setActive = (active: boolean) => async (request: z.output<typeof accessKey>) => {
    await accessKeys.setActive(request, request.accessKeyId, active)
    return {}
  }
  return {
    'access-key/create': change(owner, request => accessKeys.create(request)),
    'access-key/list': look(owner, async request => {
      // An operator who asks sees the last request too.
      await uses.write()
      return (await accessKeys.list(request)).map(describe)
    }),
    'access-key/rotate': change(accessKey, request => accessKeys.rotate(request, request.accessKeyId)),
    'access-key/disable': change(accessKey, setActive(false)),
    'access-key/enable': change(accessKey, setActive(true)),
    'access-key/delete': change(accessKey, async request => {
      await accessKeys.remove(request, request.accessKeyId)
      return {}
    }),
  }
}

function describe({ accessKey: { id, active, createdAtMs }, lastUse }: ListedAccessKey) {
  return {
    accessKeyId: id,
    status: active ? 'active' : 'inactive',
    created: moment(createdAtMs),
    lastUsed: lastUse === undefined ? null : moment(lastUse.atMs),
    lastUsedRegion: lastUse?.region ?? null,
    lastUsedService: lastUse?.service ?? null,
  }
}

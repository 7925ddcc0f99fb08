/** `strongroom identity user|role|group|service …`: the same verbs for every kind, and each kind's own. */
import type { Command } from 'commander'
import type { ManagedKind } from '../../identities/identities.ts'
import { command, type Options, readTags, readText, show, showDetails, wholeNumber } from './ask.ts'

interface CreateOptions extends Options {
  readonly path?: string
  readonly tag?: readonly string[]
  readonly fullAccess?: boolean
  readonly trust?: string
  readonly maxSessionSeconds?: number
}

const DESCRIPTIONS: Record<ManagedKind, string> = {
  user: 'users: people and programs with access keys',
  role: 'roles: what others may act as for a while, by sts:AssumeRole',
  group: 'groups: policies that several users share',
  service: 'services of this deployment, which policies name as <NAME>.amazonaws.com',
}

const REMOVALS: Record<ManagedKind, string> = {
  user: 'remove a user, with its access keys',
  role: 'remove a role; its sessions end',
  group: 'remove a group that has no users',
  service: 'remove a service, with its access keys',
}

export function addKinds(identity: Command): void {
  for (const kind of ['user', 'role', 'group', 'service'] as const) {
    const noun = identity.command(kind).description(DESCRIPTIONS[kind])
    addLife(noun, kind)
    addPolicies(noun, kind)
    addTags(noun, kind)
    if (kind === 'role') addRole(noun)
    if (kind === 'group') addGroup(noun)
    if (kind === 'service') addService(noun)
  }
}

/** create, list, show, delete. */
export function addLife(noun: Command, kind: ManagedKind): void {
  const create = command(noun, 'create <NAME>', `make a ${kind}`)
    .option('--path <PATH>', 'path in its ARN, such as /apps/')
    .option('--tag <KEY=VALUE...>', 'tags')
    .option('--full-access', `give it a policy that allows kms:*; without one a ${kind} may do nothing`)
  if (kind === 'role') {
    create
      .requiredOption('--trust <FILE>', 'trust policy: who may assume the role; - reads standard input')
      .option('--max-session-seconds <N>', 'longest session, 3600 to 43200', wholeNumber)
  }
  create.action((name: string, options: CreateOptions) => {
    const { path, tag, fullAccess = false, trust, maxSessionSeconds } = options
    return show(options, 'identity/create', account => ({
      ...{ account, kind, name, fullAccess },
      ...(path === undefined ? {} : { path }),
      ...(tag === undefined ? {} : { tags: readTags(tag) }),
      ...(trust === undefined ? {} : { trustPolicy: readText(trust) }),
      ...(maxSessionSeconds === undefined ? {} : { sessionSecondsMax: maxSessionSeconds }),
    }))
  })
  command(noun, 'list', `list ${kind}s`).action((options: Options) =>
    show(options, 'identity/list', account => ({ account, kind })),
  )
  command(noun, 'show <NAME>', 'everything about one of them').action((name: string, options: Options) =>
    showDetails(options, 'identity/show', account => ({ account, kind, name })),
  )
  command(noun, 'delete <NAME>', REMOVALS[kind]).action((name: string, options: Options) =>
    show(options, 'identity/delete', account => ({ account, kind, name })),
  )
}

function addPolicies(noun: Command, kind: ManagedKind): void {
  command(noun, 'put-policy <NAME> <POLICY> <FILE>', 'make or replace an inline policy; - reads standard input').action(
    (name: string, policy: string, file: string, options: Options) =>
      showDetails(options, 'identity/put-policy', account => ({
        ...{ account, kind, name, policy, document: readText(file) },
      })),
  )
  const ofPolicy = [
    ['delete-policy', 'remove an inline policy'],
    ['attach', 'attach a managed policy'],
    ['detach', 'detach a managed policy'],
  ] as const
  for (const [verb, description] of ofPolicy)
    command(noun, `${verb} <NAME> <POLICY>`, description).action((name: string, policy: string, options: Options) =>
      showDetails(options, `identity/${verb}`, account => ({ account, kind, name, policy })),
    )
  if (kind === 'group') return
  command(noun, 'set-boundary <NAME> [POLICY]', 'set the permissions boundary, or take it away').action(
    (name: string, policy: string | undefined, options: Options) =>
      showDetails(options, 'identity/set-boundary', account => ({ account, kind, name, policy: policy ?? null })),
  )
}

function addTags(noun: Command, kind: ManagedKind): void {
  command(noun, 'tag <NAME> <KEY=VALUE...>', 'set tags').action(
    (name: string, pairs: readonly string[], options: Options) =>
      showDetails(options, 'identity/tag', account => ({ account, kind, name, tags: readTags(pairs) })),
  )
  command(noun, 'untag <NAME> <KEY...>', 'take tags away').action((name: string, keys: string[], options: Options) =>
    showDetails(options, 'identity/untag', account => ({ account, kind, name, keys })),
  )
}

function addRole(noun: Command): void {
  command(noun, 'update <NAME>', 'change on what terms the role is assumed')
    .option('--trust <FILE>', 'trust policy; - reads standard input')
    .option('--max-session-seconds <N>', 'longest session, 3600 to 43200', wholeNumber)
    .action((name: string, options: CreateOptions) => {
      const { trust, maxSessionSeconds } = options
      return showDetails(options, 'identity/set-trust', account => ({
        ...{ account, name },
        ...(trust === undefined ? {} : { trustPolicy: readText(trust) }),
        ...(maxSessionSeconds === undefined ? {} : { sessionSecondsMax: maxSessionSeconds }),
      }))
    })
  command(noun, 'revoke-sessions <NAME>', 'end every session that was issued until now').action(
    (name: string, options: Options) =>
      showDetails(options, 'identity/revoke-sessions', account => ({ account, name })),
  )
}

function addGroup(noun: Command): void {
  const verbs = [
    ['add', 'join', 'put users into the group'],
    ['remove', 'leave', 'take users out of the group'],
  ] as const
  for (const [verb, request, description] of verbs)
    command(noun, `${verb} <GROUP> <USER...>`, description).action(
      async (group: string, users: readonly string[], options: Options) => {
        for (const name of users)
          await showDetails(options, `identity/${request}`, account => ({ account, name, group }))
      },
    )
}

function addService(noun: Command): void {
  command(
    noun,
    'set-acts-for <NAME> [ACCOUNT...]',
    'name the accounts for whose users and sessions it may call',
  ).action((name: string, accounts: readonly string[], options: Options) =>
    showDetails(options, 'identity/set-acts-for', account => ({ account, name, accounts: [...accounts] })),
  )
}

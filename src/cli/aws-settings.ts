/** Where the KMS API is and who calls it, from options and from what AWS tools read: environment and shared credentials file. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { CommandFailed } from './admin-client.ts'

export interface AwsSettings {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
}

export interface AwsOptions {
  readonly endpoint?: string
  readonly region?: string
  readonly profile?: string
}

const ENDPOINT_DEFAULT = 'http://127.0.0.1:7600'
const REGION_DEFAULT = 'on-prem-1'

/** Options first, then the environment, then the profile. Throws {@link CommandFailed} when there are no credentials. */
export function awsSettings(options: AwsOptions, environment: NodeJS.ProcessEnv = process.env): AwsSettings {
  const endpoint = options.endpoint ?? environment.AWS_ENDPOINT_URL_KMS ?? environment.AWS_ENDPOINT_URL
  const region = options.region ?? environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION
  const where = { endpoint: endpoint ?? ENDPOINT_DEFAULT, region: region ?? REGION_DEFAULT }
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = environment
  if (options.profile === undefined && id !== undefined && secret !== undefined) {
    return { ...where, accessKeyId: id, secretAccessKey: secret, sessionToken: token }
  }
  return { ...where, ...fromProfile(options.profile ?? environment.AWS_PROFILE ?? 'default', environment) }
}

function fromProfile(profile: string, environment: NodeJS.ProcessEnv) {
  const path = environment.AWS_SHARED_CREDENTIALS_FILE ?? join(homedir(), '.aws', 'credentials')
  const settings = profileOf(readText(path), profile)
  const [accessKeyId, secretAccessKey] = [settings.get('aws_access_key_id'), settings.get('aws_secret_access_key')]
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new CommandFailed(
      `no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or have profile ${profile} in ${path}`,
    )
  }
  return { accessKeyId, secretAccessKey, sessionToken: settings.get('aws_session_token') }
}

/** The settings of one section of an AWS credentials file. */
function profileOf(text: string, profile: string): Map<string, string> {
  const settings = new Map<string, string>()
  let section = ''
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)
    if (heading !== null) section = heading[1] ?? ''
    const setting = /^\s*([\w]+)\s*=\s*(\S+)\s*$/.exec(line)
    if (setting !== null && section === profile) settings.set(setting[1] ?? '', setting[2] ?? '')
  }
  return settings
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** A thread that serves one lane of a host. It blocks in reads and in the token, so nothing else runs on it. */
import { parentPort, workerData } from 'node:worker_threads'
import { parsePkcs11Uri } from '../../base/pkcs11-uri.ts'
import { HostChannel } from './channel.ts'
import { Lane } from './lane.ts'
import type { LaneThreadData } from './threads.ts'
import { load } from './token.ts'

const { fd, token, configuration } = workerData as LaneThreadData
const uri = parsePkcs11Uri(configuration.token.uri)
const cryptoki = load(uri, configuration.token)
const lane = new Lane({ ...token, slot: Buffer.from(token.slot), uri, cryptoki }, configuration, { mayLogIn: false })
parentPort?.postMessage('ready')
lane.serve(new HostChannel(fd))

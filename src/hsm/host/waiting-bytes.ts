/** What has arrived on a socket that is read by blocking calls. Node has no way to look without reading. */
import koffi from 'koffi'

const FIONREAD = 0x541b
const INT_BYTES = 4

/** Makes the question how many bytes a read of this descriptor would find (ioctl(2)); 0 where Linux is not asked. */
export function waitingBytesOf(fd: number): () => number {
  if (process.platform !== 'linux') return () => 0
  const ioctl = koffi.load(null).func('int ioctl(int, unsigned long, void *)')
  const answer = Buffer.alloc(INT_BYTES)
  return () => (ioctl(fd, FIONREAD, answer) === 0 ? answer.readInt32LE() : 0)
}

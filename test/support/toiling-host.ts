/**
 * A process at a channel that does as a host does, without a token: a frame of one byte has it work for so many
 * milliseconds, and is answered by the number of the write that the answer leaves with.
 */
import { HostChannel } from '../../src/hsm/host/channel.ts'

class CountingChannel extends HostChannel {
  writes = 0

  override flush(): void {
    this.writes += 1
    super.flush()
  }
}

const never = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
const channel = new CountingChannel()
channel.serve(
  frame => {
    Atomics.wait(never, 0, 0, frame.readUInt8())
    channel.writer.u32(4).u32(channel.writes)
  },
  () => {},
)

/** A request to the public listener. */
import { IncomingMessage } from 'node:http'
import { foldHeaders, type HeaderFields } from './sigv4/headers.ts'

export class ApiRequest extends IncomingMessage {
  #fields: HeaderFields | undefined

  /** Its headers, folded when they are first asked for. */
  get fields(): HeaderFields {
    this.#fields ??= foldHeaders(this.rawHeaders)
    return this.#fields
  }
}

// Node looks for `host` and `expect` in every request, and would fold all headers in its own way for that.
Object.defineProperty(ApiRequest.prototype, 'headers', {
  get(this: ApiRequest): HeaderFields {
    return this.fields
  },
})

/** The Query protocol's answers: XML, written as AWS writes it. There is nothing to it but elements and text. */
import type { StsOutput, StsValue } from '../../sts/action.ts'
import type { StsError } from '../../sts/errors.ts'

export const XML_CONTENT_TYPE = 'text/xml'
const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/'

export function encodeAnswer(action: string, output: StsOutput, requestId: string): string {
  const result = `<${action}Result>${members(output)}</${action}Result>`
  const metadata = `<ResponseMetadata>${element('RequestId', requestId)}</ResponseMetadata>`
  return `<${action}Response xmlns="${NAMESPACE}">${result}${metadata}</${action}Response>\n`
}

export function encodeError({ code, message, status }: StsError, requestId: string): string {
  const error = members({ Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: message })
  return `<ErrorResponse xmlns="${NAMESPACE}"><Error>${error}</Error>${element('RequestId', requestId)}</ErrorResponse>\n`
}

function members(output: StsOutput): string {
  return Object.entries(output)
    .map(([name, value]) => element(name, value))
    .join('')
}

function element(name: string, value: StsValue): string {
  if (value === undefined) return ''
  return `<${name}>${typeof value === 'object' ? members(value) : escapeText(String(value))}</${name}>`
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** XML 1.0 has no way to write most control characters, nor a lone surrogate: they become U+FFFD. */
function escapeText(text: string): string {
  return text
    .toWellFormed()
    .replace(/[&<>"]/g, character => ESCAPES[character] ?? '')
    .replace(/[^\t\n\r\u0020-\uD7FF\uD800-\uDFFF\uE000-\uFFFD]/g, '\uFFFD')
}

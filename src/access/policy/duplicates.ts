/** Member names that occur twice in one JSON object: JSON.parse keeps the last one, and a policy may not have any. */

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g

/** The first such name; undefined when there is none. `json` must be text that JSON.parse has read. */
export function duplicateMember(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  let last: string | undefined
  for (const [token] of json.matchAll(TOKEN)) {
    if (token.startsWith('"')) last = token
    else if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (token === ':' && last !== undefined) {
      const name = JSON.parse(last) as string
      const names = open.at(-1)
      if (names?.has(name)) return name
      names?.add(name)
    }
  }
  return undefined
}

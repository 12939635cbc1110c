/**
 * Reads XML that comes in pieces, for reports of tests: elements, attributes and text, in time that grows with its length
 * alone and in bounded memory. It knows no entities but XML's own five and characters by number, and no document types:
 * one ends the reading. What is long is cut. (XML 1.0, section 2.)
 */
export interface XmlEvents {
  readonly open: (name: string, attributes: ReadonlyMap<string, string>) => void
  readonly text: (text: string) => void
  readonly close: (name: string) => void
}

type State = "text" | "markup" | "comment" | "instruction" | "cdata" | "close" | "tag" | "equals" | "value"

export class Xml {
  private readonly events: XmlEvents
  private readonly decoder = new TextDecoder()
  private state: State = "text"
  private rest = ""
  private name = ""
  private attributes = new Map<string, string>()
  private attribute = ""
  private quote = ""
  private value = ""
  private depth = 0
  /** Why nothing is read any more; undefined as long as all is well. */
  problem: string | undefined

  constructor(events: XmlEvents) {
    this.events = events
  }

  push(piece: Uint8Array) {
    this.take(this.decoder.decode(piece, { stream: true }))
  }

  end() {
    this.take(this.decoder.decode())
    if (this.problem === undefined && (this.depth > 0 || this.state !== "text"))
      this.problem = "it breaks off"
  }

  private take(piece: string) {
    if (this.problem !== undefined) return
    const text = this.rest + piece
    let at = 0
    for (;;) {
      const next = this.step(text, at)
      if (this.problem !== undefined) return
      if (next === undefined) break
      at = next
    }
    this.rest = text.slice(at)
    if (this.rest.length > maxName) this.problem = "a name in it is too long"
  }

  /** Goes on from `at`, and gives where it came; undefined where it needs more. */
  private step(text: string, at: number): number | undefined {
    if (at >= text.length) return undefined
    switch (this.state) {
      case "text":
        return this.upTo("<", text, at, (part) => this.events.text(decoded(part)), "markup")
      case "markup":
        return this.markup(text, at)
      case "comment":
        return this.upTo("-->", text, at, () => undefined, "text")
      case "instruction":
        return this.upTo("?>", text, at, () => undefined, "text")
      case "cdata":
        return this.upTo("]]>", text, at, (part) => this.events.text(part), "text")
      case "close":
        return this.closing(text, at)
      case "tag":
        return this.tag(text, at)
      case "equals":
        return this.equals(text, at)
      case "value":
        return this.upTo(
          this.quote,
          text,
          at,
          (part) => {
            if (this.value.length < maxValue) this.value += part.slice(0, maxValue - this.value.length)
          },
          "tag",
          () => {
            if (this.attributes.size < maxAttributes) this.attributes.set(this.attribute, decoded(this.value))
            this.value = ""
          },
        )
    }
  }

  /** Hands over what stands before an end, also while that has not come; the last characters may begin it. */
  private upTo(
    end: string,
    text: string,
    at: number,
    part: (text: string) => void,
    next: State,
    done: () => void = () => undefined,
  ) {
    const found = text.indexOf(end, at)
    const to = found < 0 ? Math.max(at, text.length - heldFor(text, end)) : found
    if (to > at) part(text.slice(at, to))
    if (found < 0) return to > at ? to : undefined
    done()
    this.state = next
    return found + end.length
  }

  private markup(text: string, at: number) {
    for (const [begin, state] of markups) {
      if (text.startsWith(begin, at)) {
        this.state = state
        return at + begin.length
      }
      if (begin.startsWith(text.slice(at, at + begin.length))) return undefined
    }
    if (text[at] === "!") {
      this.problem = "it has a document type, which is not read"
      return undefined
    }
    const name = nameAt(text, at)
    if (name === undefined) return undefined
    if (name === "") {
      this.problem = "it is no XML"
      return undefined
    }
    this.name = name
    this.attributes = new Map()
    this.state = "tag"
    return at + name.length
  }

  private tag(text: string, at: number) {
    const begin = spaceFrom(text, at)
    const sign = text[begin]
    if (sign === undefined) return begin > at ? begin : undefined
    if (sign === ">") {
      this.depth++
      this.state = "text"
      this.events.open(this.name, this.attributes)
      return begin + 1
    }
    if (sign === "/") {
      if (begin + 1 >= text.length) return undefined
      this.state = "text"
      this.events.open(this.name, this.attributes)
      this.events.close(this.name)
      return begin + 2
    }
    const name = nameAt(text, begin)
    if (name === undefined) return undefined
    if (name === "") {
      this.problem = "it is no XML"
      return undefined
    }
    this.attribute = name
    this.state = "equals"
    return begin + name.length
  }

  private equals(text: string, at: number) {
    const equals = spaceFrom(text, at)
    const quote = text[equals] === "=" ? spaceFrom(text, equals + 1) : equals
    if (quote >= text.length) return undefined
    if (text[equals] !== "=" || (text[quote] !== '"' && text[quote] !== "'")) {
      this.problem = "it is no XML"
      return undefined
    }
    this.quote = text[quote] ?? ""
    this.state = "value"
    return quote + 1
  }

  private closing(text: string, at: number) {
    const end = text.indexOf(">", at)
    if (end < 0) return undefined
    this.depth--
    this.state = "text"
    this.events.close(text.slice(at, end).trim().slice(0, maxName))
    if (this.depth < 0) this.problem = "it closes what it has not opened"
    return end + 1
  }
}

const markups = [
  ["!--", "comment"],
  ["![CDATA[", "cdata"],
  ["?", "instruction"],
  ["/", "close"],
] as const

/** Characters at the end of a text that may begin an end, or a reference to a character. */
const heldFor = (text: string, end: string) => {
  for (let length = Math.min(end.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(end.slice(0, length))) return length
  }
  if (end !== "<" && end.length > 1) return 0
  const reference = text.lastIndexOf("&")
  return reference >= 0 && text.length - reference < 12 && !text.includes(";", reference)
    ? text.length - reference
    : 0
}

const spaceFrom = (text: string, at: number) => {
  let to = at
  while (to < text.length && " \t\r\n".includes(text[to] ?? "")) to++
  return to
}

/** The name that begins there; undefined where its end has not come. */
const nameAt = (text: string, at: number) => {
  for (let to = at; to < Math.min(text.length, at + maxName); to++) {
    if (" \t\r\n=/><\"'".includes(text[to] ?? "")) return text.slice(at, to)
  }
  return undefined
}

const decoded = (text: string) =>
  text.includes("&")
    ? text.replace(
        /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(lt|gt|amp|quot|apos));/g,
        (whole, decimal, hex, name) => {
          if (name !== undefined) return entities[name as keyof typeof entities]
          const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal)
          return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole
        },
      )
    : text

const entities = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" }

const maxName = 1000
/** Characters of an attribute's value, as it stands there. */
const maxValue = 16_000
const maxAttributes = 64

/** Lines of a text that comes in pieces. One longer than `limit` characters is left out, and counted. */
export class Lines {
  private readonly decoder = new TextDecoder()
  private rest = ""
  private isLong = false
  /** Lines that were left out. */
  dropped = 0

  private readonly limit: number
  private readonly line: (text: string) => void

  constructor(limit: number, line: (text: string) => void) {
    this.limit = limit
    this.line = line
  }

  push(piece: Uint8Array) {
    this.take(this.decoder.decode(piece, { stream: true }))
  }

  end() {
    this.take(this.decoder.decode())
    if (this.rest !== "" || this.isLong) this.take("\n")
  }

  private take(text: string) {
    let from = 0
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", from)) {
      this.add(text.slice(from, at))
      if (this.isLong) this.dropped++
      else this.line(this.rest)
      this.rest = ""
      this.isLong = false
      from = at + 1
    }
    this.add(text.slice(from))
  }

  private add(text: string) {
    if (this.isLong || this.rest.length + text.length > this.limit) {
      this.isLong = true
      this.rest = ""
    } else this.rest += text
  }
}

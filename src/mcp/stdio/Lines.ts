/** Bytes cut into lines. No more than one line's worth is kept, and of a line past the limit nothing. */
export class Lines {
  private parts: Array<Buffer> = []
  private size = 0

  private readonly limit: number

  /** `limit` is in bytes, without the line's end. */
  constructor(limit: number) {
    this.limit = limit
  }

  /** The lines that these bytes complete, in order; undefined in place of one that is too long. */
  push(bytes: Buffer): Array<string | undefined> {
    const lines: Array<string | undefined> = []
    let at = 0
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, at)) {
      this.keep(bytes.subarray(at, end))
      lines.push(this.size > this.limit ? undefined : Buffer.concat(this.parts).toString())
      this.parts = []
      this.size = 0
      at = end + 1
    }
    this.keep(bytes.subarray(at))
    return lines
  }

  private keep(bytes: Buffer) {
    this.size += bytes.length
    if (this.size > this.limit) this.parts = []
    else if (bytes.length > 0) this.parts.push(bytes)
  }
}

const newline = 10

/** Lines of bytes. A line ends with its line feed; the last one may have none. */

export const newline = 10

/** The offset at which the line begins that holds the byte at `offset`. */
export const lineStart = (bytes: Buffer, offset: number) =>
  offset === 0 ? 0 : bytes.lastIndexOf(newline, offset - 1) + 1

/** The offset after the end of the line that holds the byte at `offset`. */
export const lineEnd = (bytes: Buffer, offset: number) => {
  const end = bytes.indexOf(newline, offset)
  return end < 0 ? bytes.length : end + 1
}

/** The numbers of the lines that hold these offsets, which are in ascending order; the first line is 1. */
export const lineNumbers = (bytes: Buffer, offsets: ReadonlyArray<number>): ReadonlyArray<number> => {
  let line = 1
  let next = bytes.indexOf(newline)
  return offsets.map((offset) => {
    while (next >= 0 && next < offset) {
      line++
      next = bytes.indexOf(newline, next + 1)
    }
    return line
  })
}

/** The lines, each with its line feed; `most` at most. */
export const linesOf = (bytes: Buffer, most = Infinity): Array<Buffer> => {
  const lines: Array<Buffer> = []
  for (let from = 0; from < bytes.length && lines.length < most;) {
    const end = lineEnd(bytes, from)
    lines.push(bytes.subarray(from, end))
    from = end
  }
  return lines
}

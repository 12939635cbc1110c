/**
 * The names of files as text. Linux lets any bytes be a name; a byte that is no UTF-8 stands as the character U+F700
 * plus the byte. The bytes of a character that is itself in that range are written so too: two names never look the
 * same, and none is lost. Unlike a lone surrogate, such text passes through every JSON reader and database.
 */
import { isUtf8 } from "node:buffer"
import { Refusal } from "./Refusal.ts"

const base = 0xf700
const escaped = /([\uf780-\uf7ff])/
const impossible = /\0|\p{Surrogate}/u

export const nameOf = (bytes: Buffer) => {
  const whole = isUtf8(bytes) ? bytes.toString() : undefined
  if (whole !== undefined && !escaped.test(whole)) return whole
  let name = ""
  for (let at = 0; at < bytes.length;) {
    const character = bytes.subarray(at, at + lengthOf(bytes[at]!))
    const text = isUtf8(character) ? character.toString() : undefined
    if (text !== undefined && !escaped.test(text)) {
      name += text
      at += character.length
    } else {
      name += String.fromCharCode(base + bytes[at]!)
      at++
    }
  }
  return name
}

/** The bytes that a name stands for. Refuses what no file can have as its name. */
export const bytesOf = (name: string): Buffer => {
  if (impossible.test(name)) throw new Refusal("bad_path")
  return Buffer.concat(
    name
      .split(escaped)
      .map((part) => (escaped.test(part) ? Buffer.from([part.charCodeAt(0) - base]) : Buffer.from(part))),
  )
}

/** A name whose text is its bytes. */
export const isPlain = (name: string) => !escaped.test(name) && !impossible.test(name)

/** Bytes of the character that begins with this one. */
const lengthOf = (first: number) => (first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4)

/** What bytes say as text, where they are UTF-8 without a NUL: those come back from it as they were. */
export const textOf = (bytes: Uint8Array): string | undefined => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
  return Buffer.from(text).equals(bytes) && !text.includes("\0") ? text : undefined
}

/** Images that clients show, by the bytes that they begin with, whatever their names say. */

/** Bytes of one answer's images: in base64 they fit into a line of 1 MiB, past which some clients of stdio break. */
export const imageLimit = 700_000

/** The MIME type; undefined for anything else. */
export const imageType = (head: Uint8Array) => {
  const begins = (text: string, at = 0) =>
    Buffer.from(head.subarray(at, at + text.length)).toString("latin1") === text
  if (begins("\x89PNG\r\n\x1a\n")) return "image/png"
  if (begins("\xff\xd8\xff")) return "image/jpeg"
  if (begins("GIF87a") || begins("GIF89a")) return "image/gif"
  if (begins("RIFF") && begins("WEBP", 8)) return "image/webp"
  return undefined
}

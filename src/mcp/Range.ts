/** The part of a file that a request asks for. (RFC 9110, "Range Requests".) */

/** Undefined for the whole file, also where several parts are asked for; `none` where there is no such part. */
export const rangeOf = (header: string | undefined, size: number) => {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? []
  if (first === "" && last === "") return undefined
  const begin = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
  // One that ends before it begins is no range at all.
  if (first !== "" && last !== "" && Number(last) < begin) return undefined
  return begin < end ? { begin, length: end - begin } : "none"
}

/** Names in a patch, which git puts into quotes as C has them where they hold odd bytes. */

const escapes: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  t: "\t",
  n: "\n",
  v: "\v",
  f: "\f",
  r: "\r",
  '"': '"',
  "\\": "\\",
}

/** A name of one character a byte; one without quotes around it stands for itself. */
export const unquoted = (name: string) =>
  /^".*"$/s.test(name)
    ? name
        .slice(1, -1)
        .replace(
          /\\(?:([0-3][0-7]{2})|(.))/g,
          (whole, octal: string | undefined, letter: string | undefined) =>
            octal === undefined
              ? (escapes[letter ?? ""] ?? whole)
              : String.fromCharCode(Number.parseInt(octal, 8)),
        )
    : name

export interface Options {
  readonly limit: number
}

export const shorten = (text: string, { limit }: Options) => text.slice(0, limit + 1)

export const first = (words: ReadonlyArray<string>) => {
  if (words.length === 0) throw new TypeError("no words")
  return words[0]
}

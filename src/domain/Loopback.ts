/** Whether a name or address stands for this machine alone. */
export const isLoopback = (name: string | undefined) =>
  name !== undefined &&
  (name === "localhost" || name === "[::1]" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name))

/** Whether an address stands for all of this machine's: to be listened on, and not to be called. */
export const isUnspecified = (address: string) => ["0.0.0.0", "::", "[::]"].includes(address)

/** The name or address of a URL's host; undefined for what is no URL. */
export const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).hostname : undefined)

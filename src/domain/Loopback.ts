/** Whether a name or address stands for this machine alone. */
export const isLoopback = (name: string | undefined) =>
  name !== undefined &&
  (name === "localhost" || name === "[::1]" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name))

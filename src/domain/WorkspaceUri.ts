/** Files of a workspace as URIs: `workspace:///` and the path below /workspace. */

export const workspaceScheme = "workspace:///"

export const uriOf = (path: string) => workspaceScheme + encodePath(path)

/** The path; undefined for what is no such URI. */
export const pathOf = (uri: string) =>
  uri.startsWith(workspaceScheme) && uri.length > workspaceScheme.length
    ? decodePath(uri.slice(workspaceScheme.length))
    : undefined

/** A path as it stands in a URI. */
export const encodePath = (path: string) => path.split("/").map(encodeURIComponent).join("/")

/** Undefined where it is none. */
export const decodePath = (encoded: string) => {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}

/** Files of a workspace as URIs: `workspace:///` and the path below /workspace. */

export const workspaceScheme = "workspace:///"

export const uriOf = (path: string) => workspaceScheme + path.split("/").map(encodeURIComponent).join("/")

/** The path; undefined for what is no such URI. */
export const pathOf = (uri: string) => {
  if (!uri.startsWith(workspaceScheme) || uri.length === workspaceScheme.length) return undefined
  try {
    return decodeURIComponent(uri.slice(workspaceScheme.length))
  } catch {
    return undefined
  }
}

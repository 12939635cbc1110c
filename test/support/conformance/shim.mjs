// The suite imports `globSync`, which Node has from 22 on, and does not use it with a server.
import { register } from "node:module"

const hooks = `
const name = "conformance:fs"
export const resolve = (specifier, context, next) =>
  /^(node:)?fs$/.test(specifier) && context.parentURL?.includes("/conformance/dist/")
    ? { url: name, shortCircuit: true }
    : next(specifier, context)
export const load = (url, context, next) =>
  url === name
    ? {
        format: "module",
        shortCircuit: true,
        source: 'export * from "node:fs"; export { default } from "node:fs"; export const globSync = () => []',
      }
    : next(url, context)
`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)

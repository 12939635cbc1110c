/**
 * Names of packages as pip and npm take them from their registries: with a version, and never a flag, a URL, a path or an
 * archive, all of which the same argument could be.
 */
const word = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
const clause = "(?:===?|~=|!=|<=?|>=?)[A-Za-z0-9][A-Za-z0-9.*+!_-]*"

const patterns = {
  // PEP 508, without URLs and markers.
  pip: new RegExp(`^${word}(?:\\[${word}(?:,${word})*\\])?(?:${clause}(?:,${clause})*)?$`),
  // A scope, a name, and a version, a range of them or a tag.
  npm: /^(?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*(?:@[A-Za-z0-9^~<>=*][A-Za-z0-9.^~<>=*+_-]*)?$/i,
}

const archive = /\.(?:whl|zip|tar|tgz|tbz|txz|tlz|gz|bz2|xz|lzma|lz|git)$/i

export const isPackage = (manager: keyof typeof patterns, name: string) =>
  name.length <= 214 && patterns[manager].test(name) && !archive.test(name)

/** An operation that is not done, with the reason that its node is told. */
import type { FileRefusal } from "../../domain/SandboxError.ts"

export class Refusal extends Error {
  readonly reason: FileRefusal

  constructor(reason: FileRefusal) {
    super(reason)
    this.reason = reason
  }
}

export const reasonOf = (error: unknown): FileRefusal => {
  if (error instanceof Refusal) return error.reason
  return reasons[codeOf(error) ?? ""] ?? "failed"
}

/** The name of a system call's error. */
export const codeOf = (error: unknown) =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined

const reasons: Readonly<Record<string, FileRefusal>> = {
  ENOENT: "missing",
  ELOOP: "missing",
  ENOTDIR: "not_a_directory",
  EISDIR: "not_a_file",
  ENXIO: "not_a_file",
  ENOSPC: "no_space",
  EDQUOT: "no_space",
  EFBIG: "no_space",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "denied",
  ETXTBSY: "denied",
  EBUSY: "denied",
  EEXIST: "exists",
  ENOTEMPTY: "not_empty",
  ENAMETOOLONG: "bad_path",
  EINVAL: "bad_path",
}

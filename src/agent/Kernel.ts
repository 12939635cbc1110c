/**
 * The system calls that Node has no function for, by koffi. Everything here runs at once and blocks nothing;
 * numbers are Linux's, the same on x64 and arm64.
 */
import koffi from "koffi"

const libc = koffi.load("libc.so.6")

const prctl = libc.func("int prctl(int, ulong, ulong, ulong, ulong)")
const pipe2 = libc.func("int pipe2(uint8_t *, int)")
export const close = libc.func("int close(int)")
const wait4 = libc.func("int wait4(int, uint8_t *, int, uint8_t *)")
const prlimit = libc.func("int prlimit(int, int, uint8_t *, uint8_t *)")
const fcntl = libc.func("int fcntl(int, int, int)")
const readInto = libc.func("int64 read(int, uint8_t *, size_t)")
const lseek = libc.func("int64 lseek(int, int64, int)")
const statx = libc.func("int statx(int, const char *, int, uint, uint32_t *)")
const ioctl = libc.func("int ioctl(int, ulong, uint8_t *)")
const posixSpawn = libc.func(
  "int posix_spawn(uint8_t *, const char *, uint8_t *, uint8_t *, const char **, const char **)",
)
const actionsInit = libc.func("int posix_spawn_file_actions_init(uint8_t *)")
const actionsDestroy = libc.func("int posix_spawn_file_actions_destroy(uint8_t *)")
const actionsDup2 = libc.func("int posix_spawn_file_actions_adddup2(uint8_t *, int, int)")
const actionsOpen = libc.func("int posix_spawn_file_actions_addopen(uint8_t *, int, const char *, int, uint)")
const actionsChdir = libc.func("int posix_spawn_file_actions_addchdir_np(uint8_t *, const char *)")
const actionsCloseFrom = libc.func("int posix_spawn_file_actions_addclosefrom_np(uint8_t *, int)")
const attributesInit = libc.func("int posix_spawnattr_init(uint8_t *)")
const attributesFlags = libc.func("int posix_spawnattr_setflags(uint8_t *, int16)")
const attributesDefault = libc.func("int posix_spawnattr_setsigdefault(uint8_t *, uint8_t *)")
const attributesMask = libc.func("int posix_spawnattr_setsigmask(uint8_t *, uint8_t *)")

const PR_SET_DUMPABLE = 4
const O_CLOEXEC = 0o2000000
const WNOHANG = 1
const F_SETFL = 4
const O_NONBLOCK = 0o4000
const F_SETPIPE_SZ = 1031
const TIOCSWINSZ = 0x5414
const TIOCSPTLCK = 0x40045431
const TIOCGPTN = 0x80045430

/** Nobody inside may open this process's descriptors or memory, or trace it. */
export const hide = () => prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0

/** A pipe, closed in children: its end to read and its end to write. */
export const pipe = () => {
  const ends = Buffer.alloc(8)
  if (pipe2(ends, O_CLOEXEC) !== 0) throw systemError("pipe")
  return { read: ends.readInt32LE(0), write: ends.readInt32LE(4) }
}

/** Lets a pipe hold more, as much as the system allows, where it is one: who writes much then waits less. */
export const widen = (descriptor: number) => fcntl(descriptor, F_SETPIPE_SZ, 1024 * 1024)

/** Makes a descriptor one that never waits. */
export const neverWait = (descriptor: number) => fcntl(descriptor, F_SETFL, O_NONBLOCK)

/** What a child of this process used. */
export interface Reaped {
  readonly pid: number
  readonly code: number | null
  /** The number of the signal that ended it. */
  readonly signal: number | null
  readonly cpuMs: number
  /** In bytes. */
  readonly peakMemory: number
}

/** Takes one child that has ended, ours or an orphan that became ours; none where there is none. */
export const reap = (): Reaped | undefined => {
  const status = Buffer.alloc(4)
  const usage = Buffer.alloc(144)
  const pid = wait4(-1, status, WNOHANG, usage)
  if (pid <= 0) return undefined
  const value = status.readInt32LE()
  const signal = value & 0x7f
  const time = (at: number) =>
    Number(usage.readBigInt64LE(at)) * 1000 + Number(usage.readBigInt64LE(at + 8)) / 1000
  return {
    pid,
    code: signal === 0 ? (value >> 8) & 0xff : null,
    signal: signal === 0 ? null : signal,
    cpuMs: Math.round(time(0) + time(16)),
    peakMemory: Number(usage.readBigInt64LE(32)) * 1024,
  }
}

/** The soft value of a resource limit of a process; none where there is no such process. */
export const softLimit = (pid: number, resource: number) => {
  const limits = Buffer.alloc(16)
  return prlimit(pid, resource, null, limits) === 0 ? limits.readBigUInt64LE(0) : undefined
}

/** Sets the soft value of a resource limit of this process, which its children inherit. */
export const setSoftLimit = (resource: number, value: bigint) => {
  const limits = Buffer.alloc(16)
  if (prlimit(0, resource, null, limits) !== 0) return false
  limits.writeBigUInt64LE(value, 0)
  return prlimit(0, resource, limits, null) === 0
}

const attributes = Buffer.alloc(512)
attributesInit(attributes)
// A session of its own, and no signal ignored or blocked, whatever this process does with them.
attributesFlags(attributes, 0x80 | 0x04 | 0x08)
attributesDefault(attributes, Buffer.alloc(128, 0xff))
attributesMask(attributes, Buffer.alloc(128))

export interface Program {
  readonly path: string
  readonly argv: ReadonlyArray<string>
  readonly cwd: string
  /** `NAME=value`, each. */
  readonly env: ReadonlyArray<string>
  /** Descriptors that become 0, 1 and 2; a path is opened, and a terminal opened so becomes the controlling one. */
  readonly stdio: readonly [number | string, number | string, number | string]
}

/** Starts a program; gives its pid, or below 0 the negative number of the error. */
export const spawn = ({ path, argv, cwd, env, stdio }: Program) => {
  const actions = Buffer.alloc(128)
  actionsInit(actions)
  try {
    stdio.forEach((from, to) =>
      typeof from === "string" ? actionsOpen(actions, to, from, 2, 0) : actionsDup2(actions, from, to),
    )
    actionsChdir(actions, cwd)
    actionsCloseFrom(actions, 3)
    const pid = Buffer.alloc(4)
    const error = posixSpawn(pid, path, actions, attributes, [...argv, null], [...env, null])
    return error === 0 ? pid.readInt32LE() : -error
  } finally {
    actionsDestroy(actions)
  }
}

/** Unlocks the terminal behind the descriptor of a `/dev/ptmx`; gives the path of its other side. */
export const terminalOf = (descriptor: number) => {
  const number = Buffer.alloc(4)
  if (ioctl(descriptor, TIOCSPTLCK, number) !== 0 || ioctl(descriptor, TIOCGPTN, number) !== 0)
    throw systemError("ioctl")
  return `/dev/pts/${number.readUInt32LE()}`
}

export const resizeTerminal = (descriptor: number, columns: number, rows: number) => {
  const size = Buffer.alloc(8)
  size.writeUInt16LE(rows, 0)
  size.writeUInt16LE(columns, 2)
  ioctl(descriptor, TIOCSWINSZ, size)
}

const systemError = (call: string) => Object.assign(new Error(`${call} failed`), { errno: koffi.errno() })

/**
 * Reads what there is of a descriptor that never waits: 0 bytes at its end, undefined where there is nothing now, of
 * which Node would make an error with all that belongs to it.
 */
export const readNow = (descriptor: number, buffer: Uint8Array) => {
  const size = Number(readInto(descriptor, buffer, buffer.length))
  if (size >= 0) return size
  if (koffi.errno() === EAGAIN) return undefined
  throw systemError("read")
}

const EAGAIN = 11
const SEEK_DATA = 3
const SEEK_HOLE = 4
const ENXIO = 6

/** Where a file's next bytes stand that are not a hole, from `position` on; undefined where none are left. */
export const nextData = (file: number, position: number): number | undefined => {
  const found = Number(lseek(file, position, SEEK_DATA))
  if (found >= 0) return found
  // A file system that knows no holes says so otherwise: then all of it is bytes.
  return koffi.errno() === ENXIO ? undefined : position
}

/** Where a file's next hole begins, from `position` on; undefined where it has none. */
export const nextHole = (file: number, position: number): number | undefined => {
  const found = Number(lseek(file, position, SEEK_HOLE))
  return found >= 0 ? found : undefined
}

const AT_SYMLINK_NOFOLLOW = 0x100
const STATX_BASIC_STATS = 0x7ff
const found = new Uint32Array(64)

/**
 * What stands in an open folder under a name that is its own bytes, and how it was when; undefined where nothing does.
 * A quarter of what `lstat` costs by way of `/proc/self/fd`.
 */
export const lookIn = (folder: number, name: string) => {
  if (statx(folder, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, found) !== 0) return undefined
  const whole = (at: number) => found[at]! + found[at + 1]! * 2 ** 32
  // As Node has it.
  return { ino: whole(8), size: whole(10), ctimeMs: whole(24) * 1000 + found[26]! / 1e6 }
}

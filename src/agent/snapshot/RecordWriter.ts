/** Writes records to an operation's channel, many small ones at a time. */
import { readSync } from "node:fs"
import { crc32 } from "node:zlib"
import type { Transfer } from "../files/Transfers.ts"
import { headerSize, Kind, writeHeader } from "./Records.ts"

/** What is left of a buffer that is worth reading into, in bytes. */
const worthwhile = 16 * 1024

export class RecordWriter {
  private readonly transfer: Transfer
  private buffer: Buffer
  private at = 0
  /** Of the bytes that were sent since it was set to zero. */
  sum = 0

  constructor(transfer: Transfer) {
    this.transfer = transfer
    this.buffer = transfer.room()
  }

  async json(kind: number, value: unknown) {
    const body = Buffer.from(JSON.stringify(value))
    await this.ensure(headerSize + body.length)
    writeHeader(this.buffer, this.at, kind, body.length)
    body.copy(this.buffer, this.at + headerSize)
    this.at += headerSize + body.length
  }

  /** Sends up to `length` bytes of an open file from `position`; gives how many. */
  async data(file: number, position: number, length: number) {
    await this.ensure(headerSize + Math.min(length, worthwhile))
    const begin = this.at + headerSize
    const read = readSync(file, this.buffer, begin, Math.min(length, this.buffer.length - begin), position)
    if (read > 0) {
      writeHeader(this.buffer, this.at, Kind.data, read)
      this.at = begin + read
      this.sum = crc32(this.buffer.subarray(begin, this.at), this.sum)
    }
    return read
  }

  async flush() {
    if (this.at === 0) return
    await this.transfer.send(this.buffer.subarray(0, this.at))
    this.buffer = this.transfer.room()
    this.at = 0
  }

  private async ensure(bytes: number) {
    if (this.buffer.length - this.at < bytes) await this.flush()
  }
}

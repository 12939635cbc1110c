/**
 * Whether a sandbox's files are as they were, as far as that is known without asking: as its last command ended, its
 * agent said so, and nothing that may change them was under way or has begun since.
 */
export class Stillness {
  private under = 0
  private cursor: string | null = null

  /** Something begins that may change files. */
  begin() {
    this.under++
    this.cursor = null
  }

  /** It has ended, and its agent says since which cursor nothing has changed, where it knows. */
  end(cursor: string | null) {
    this.under--
    this.cursor = this.under === 0 ? cursor : null
  }

  /** Whether nothing has changed since a cursor. */
  isAt(cursor: string) {
    return this.cursor === cursor
  }
}

/**
 * Whether a sandbox's files are as they were, as far as that is known without asking: as its last command ended, its
 * agent said so, and nothing else that may change them was under way from that command's begin on. What the agent said
 * is older than what is heard of it: something may have begun and ended in between.
 */
export class Stillness {
  private under = 0
  /** What is under way has been alone since it began. */
  private isAlone = true
  private cursor: string | null = null

  /** Something begins that may change files. */
  begin() {
    this.isAlone = this.under === 0
    this.under++
    this.cursor = null
  }

  /** It has ended, and its agent says since which cursor nothing has changed, where it knows. */
  end(cursor: string | null) {
    this.under--
    this.cursor = this.under === 0 && this.isAlone ? cursor : null
  }

  /** Whether nothing has changed since a cursor. */
  isAt(cursor: string) {
    return this.cursor === cursor
  }
}

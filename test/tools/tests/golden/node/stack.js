export class Stack {
  items = []
  push(item) {
    this.items.push(item)
  }
  pop() {
    if (this.items.length === 0) throw new RangeError("empty")
    return this.items.shift()
  }
}

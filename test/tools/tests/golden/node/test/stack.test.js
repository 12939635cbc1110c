import assert from "node:assert/strict"
import { describe, it, test } from "node:test"
import { Stack } from "../stack.js"

test("a new stack is empty", () => {
  assert.deepEqual(new Stack().items, [])
})

describe("pop", () => {
  it("gives what was pushed last", () => {
    const stack = new Stack()
    stack.push(1)
    stack.push(2)
    assert.equal(stack.pop(), 2)
  })

  describe("of an empty stack", () => {
    it("throws", () => {
      new Stack().pop()
    })
  })

  it("is not there yet", { skip: "later" }, () => {})
  it.todo("comes some day")
})

const { add, total } = require("./cart.js")

test("an empty cart costs nothing", () => {
  expect(total({ items: [] })).toBe(0)
})

describe("add", () => {
  test("keeps what is there", () => {
    const cart = add({ items: [{ price: 1 }] }, { price: 2 })
    expect(cart.items).toEqual([{ price: 1 }, { price: 2 }])
  })

  test("needs a cart", () => {
    total(undefined)
  })

  test.skip("counts", () => {})
  test.todo("removes")
})

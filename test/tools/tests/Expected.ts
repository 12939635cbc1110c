/** What fails in the golden projects, and where: [id, file, line, expected, got], and [file, line, message]. */
import type { Brief } from "./Golden.ts"

export const pytest: Brief = {
  counts: { passed: 2, failed: 3, skipped: 2, errors: 3 },
  failures: [
    ["tests/test_prices.py::TestReceipt::test_lines", "tests/test_prices.py", 40, "['a', 'c']", "['a', 'b']"],
    ["tests/test_prices.py::test_discount", "tests/test_prices.py", 11, "90", "0"],
    ["tests/test_prices.py::test_parse[two]", "shop/prices.py", 10, undefined, undefined],
    ["tests/test_prices.py::test_stored", "tests/test_prices.py", 21, undefined, undefined],
  ],
  errors: [
    ["tests/test_broken.py", 1, "ModuleNotFoundError: No module named 'no_such_module'"],
    ["tests/test_typo.py", 1, "SyntaxError: invalid syntax"],
  ],
}

export const unittest: Brief = {
  counts: { passed: 1, failed: 3, skipped: 2, errors: 2 },
  failures: [
    ["test_stock.ShelfTest", "tests/test_stock.py", 33, undefined, undefined],
    ["test_stock.StockTest.test_error", "stock.py", 2, undefined, undefined],
    ["test_stock.StockTest.test_many (count=2)", "tests/test_stock.py", 16, undefined, undefined],
    ["test_stock.StockTest.test_take", "tests/test_stock.py", 11, "3", "2"],
  ],
  errors: [["tests/test_broken.py", 1, "ModuleNotFoundError: No module named 'no_such_module'"]],
}

export const node: Brief = {
  counts: { passed: 1, failed: 2, skipped: 2, errors: 2 },
  failures: [
    ["test/stack.test.js > pop > gives what was pushed last", "test/stack.test.js", 14, "2", "1"],
    ["test/stack.test.js > pop > of an empty stack > throws", "stack.js", 7, undefined, undefined],
  ],
  errors: [
    [
      "test/broken.test.js",
      undefined,
      "Error [ERR_MODULE_NOT_FOUND]: Cannot find module '/workspace/node/no-such-file.js' imported from /workspace/node/test/broken.test.js",
    ],
    ["test/typo.test.js", 1, "SyntaxError: Unexpected token '='"],
  ],
}

export const vitest: Brief = {
  counts: { passed: 2, failed: 2, skipped: 2, errors: 3 },
  failures: [
    ["text.spec.ts > first > needs a word", "text.ts", 8, undefined, undefined],
    ["text.spec.ts > shorten > cuts (what is long)", "text.spec.ts", 11, "abc", "abcd"],
  ],
  errors: [
    [
      "broken.spec.ts",
      1,
      "Error: Cannot find module './no-such-file.ts' imported from '/workspace/vitest/broken.spec.ts'",
    ],
    ["text.spec.ts", 27, "Error: no store"],
    ["typo.spec.ts", 4, "Error: Transform failed with 1 error:"],
  ],
}

export const jest: Brief = {
  counts: { passed: 1, failed: 2, skipped: 2, errors: 2 },
  failures: [
    [
      "cart.test.js > add > keeps what is there",
      "cart.test.js",
      10,
      "[ { price: 1 }, { price: 2 } ]",
      "[ { price: 2 } ]",
    ],
    ["cart.test.js > add > needs a cart", "cart.js", 2, undefined, undefined],
  ],
  errors: [
    ["broken.test.js", 1, "Cannot find module './no-such-file.js' from 'broken.test.js'"],
    ["typo.test.js", 2, "SyntaxError: /workspace/jest/typo.test.js: Unexpected token (2:0)"],
  ],
}

export const go: Brief = {
  counts: { passed: 3, failed: 3, skipped: 1, errors: 1 },
  failures: [
    ["example.com/shop > TestNothing", "shop_test.go", 34, undefined, undefined],
    ["example.com/shop > TestTotal/wrong_one", "shop_test.go", 16, "4", "3"],
    ["example.com/shop/panics > TestPanics", "shop.go", 12, undefined, undefined],
  ],
  errors: [["broken/broken.go", 4, "undefined: missing"]],
}

export const cargo: Brief = {
  counts: { passed: 2, failed: 5, skipped: 1, errors: 0 },
  failures: [
    ["shop > src/lib.rs - total (line 3)", "src/lib.rs", undefined, "4", "3"],
    ["src/lib.rs > tests::does_not_panic", undefined, undefined, undefined, undefined],
    ["src/lib.rs > tests::is_wrong", "src/lib.rs", 26, "4", "3"],
    ["src/lib.rs > tests::panics", "src/lib.rs", 11, undefined, undefined],
    ["tests/whole.rs > first_is_last", undefined, undefined, undefined, undefined],
  ],
  errors: [],
}

export const cargoBroken: Brief = {
  counts: { passed: 0, failed: 0, skipped: 0, errors: 2 },
  failures: [],
  errors: [
    ["src/lib.rs", 2, "error[E0425]: cannot find value `missing` in this scope"],
    ["src/lib.rs", 7, "error[E0308]: mismatched types"],
  ],
}

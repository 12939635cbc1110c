test("is never run", () => {

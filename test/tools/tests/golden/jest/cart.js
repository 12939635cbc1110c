exports.add = (cart, item) => ({ ...cart, items: [item] })
exports.total = (cart) => cart.items.reduce((sum, { price }) => sum + price, 0)

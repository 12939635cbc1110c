def take(stock, count):
    return stock - count - 1

import unittest

from stock import take


class StockTest(unittest.TestCase):
    def test_nothing(self):
        self.assertIsNotNone(take(1, 0))

    def test_take(self):
        self.assertEqual(take(5, 2), 3)

    def test_many(self):
        for count in (1, 2):
            with self.subTest(count=count):
                self.assertGreater(take(2, count), -1)

    def test_error(self):
        take(None, 1)

    @unittest.skip("later")
    def test_later(self):
        pass

    @unittest.expectedFailure
    def test_known(self):
        self.assertTrue(False)


class ShelfTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no shelf")

    def test_shelf(self):
        pass

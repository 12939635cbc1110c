import pytest

from shop.prices import discount, parse, total


def test_total():
    assert total([1, 2, 3]) == 6


def test_discount():
    assert discount(100, 10) == 90


@pytest.mark.parametrize("text", ["1", "two"])
def test_parse(text):
    assert parse(text) > 0


@pytest.fixture
def database():
    raise RuntimeError("no database")


def test_stored(database):
    pass


@pytest.mark.skip(reason="later")
def test_later():
    pass


@pytest.mark.xfail
def test_known():
    assert total([1]) == 2


class TestReceipt:
    def test_lines(self):
        assert ["a", "b"] == ["a", "c"], "lines differ"

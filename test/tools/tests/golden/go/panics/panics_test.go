package panics

import (
	"testing"

	"example.com/shop"
)

func TestBefore(t *testing.T) {}

func TestPanics(t *testing.T) {
	shop.First(nil)
}

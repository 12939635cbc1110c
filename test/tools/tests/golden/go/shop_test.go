package shop

import "testing"

func TestTotal(t *testing.T) {
	for _, one := range []struct {
		name   string
		prices []int
		want   int
	}{
		{"empty", nil, 0},
		{"wrong one", []int{1, 2}, 4},
	} {
		t.Run(one.name, func(t *testing.T) {
			if got := Total(one.prices); got != one.want {
				t.Errorf("Total() = %d, want %d", got, one.want)
			}
		})
	}
}

func TestLater(t *testing.T) {
	t.Skip("later")
}

func TestFirst(t *testing.T) {
	if First([]int{7}) != 7 {
		t.Fatal("not the first")
	}
}

func TestNothing(t *testing.T) {
	t.Log("before")
	t.Fatal("nothing works")
}

package device

import "testing"

func TestCheckCell(t *testing.T) {
	for _, c := range []struct {
		name string
		cell uint64
		ok   bool
	}{
		// Cells from the H3 documentation and test data.
		{"resolution 0", 0x8001fffffffffff, true},
		{"resolution 7", 0x872830828ffffff, true},
		{"resolution 9", 0x8928308280fffff, true},
		{"resolution 12", 0x8c283082b92b1ff, true},
		{"pentagon itself", 0x8009fffffffffff, true},
		{"pentagon at resolution 5", 0x85080003fffffff, true},
		{"zero", 0, false},
		// The geometric limits: finer than 12 names a room, and base cells end at 121.
		{"resolution 13", 0x8d283082b92b13f, false},
		{"base cell 121", 0x80f3fffffffffff, true},
		{"vertex mode", 0x2222597fffffffff, false},
		{"resolution 15", 0x8f283082b92b150, false},
		{"directed edge", 0x115283473fffffff, false},
		{"base cell 122", 0x80f5fffffffffff, false},
		{"digit beyond resolution", 0x872830828fffffe, false},
		{"unused digit within resolution", 0x89283082bffffff, false},
		{"deleted child of a pentagon", 0x81087ffffffffff, false},
		{"reserved bit", 0x8928308280fffff | 1<<63, false},
		{"reserved mode bits", 0x8928308280fffff | 1<<56, false},
		{"all ones", ^uint64(0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := CheckCell(c.cell); (err == nil) != c.ok {
				t.Fatalf("%x: %v", c.cell, err)
			}
		})
	}
}

// makeCell writes an index digit by digit.
func makeCell(base int, digits ...int) uint64 {
	cell := uint64(cellMode)<<59 | uint64(len(digits))<<52 | uint64(base)<<45
	for i := range cellDigits {
		digit := unusedDigit
		if i < len(digits) {
			digit = digits[i]
		}
		cell |= uint64(digit) << (3 * (cellDigits - 1 - i))
	}
	return cell
}

// A pentagon has no child in the K direction, nor have the pentagons among its
// children; every other base cell has it.
func TestDeletedSubsequences(t *testing.T) {
	known := map[int]bool{4: true, 14: true, 24: true, 38: true, 49: true, 58: true, 63: true, 72: true, 83: true, 97: true, 107: true, 117: true}
	if makeCell(4) != 0x8009fffffffffff {
		t.Fatalf("cells are written wrongly: %x", makeCell(4))
	}
	for base := range baseCells {
		for _, c := range []struct {
			name    string
			digits  []int
			deleted bool
		}{
			{"itself", nil, false},
			{"centre child", []int{0}, false},
			{"K child", []int{1}, true},
			{"K child of the centre child", []int{0, 1}, true},
			{"K child at resolution 12", []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, true},
			{"K after another direction", []int{0, 2, 1}, false},
			{"other child", []int{0, 0, 6}, false},
		} {
			err := CheckCell(makeCell(base, c.digits...))
			if want := c.deleted && known[base]; (err != nil) != want {
				t.Errorf("base cell %d, %s: %v", base, c.name, err)
			}
		}
	}
}

// H3 has 2 + 120·7^r cells at resolution r (h3geo.org, "Statistics about cells").
func TestNumberOfCells(t *testing.T) {
	want := 122
	for resolution := range 4 {
		n := 0
		digits := make([]int, resolution)
		var walk func(base, at int)
		walk = func(base, at int) {
			if at == resolution {
				if CheckCell(makeCell(base, digits...)) == nil {
					n++
				}
				return
			}
			for digits[at] = 0; digits[at] < 8; digits[at]++ {
				walk(base, at+1)
			}
			digits[at] = 0
		}
		for base := range 1 << 7 {
			walk(base, 0)
		}
		if n != want {
			t.Errorf("resolution %d has %d cells, want %d", resolution, n, want)
		}
		want = 2 + 7*(want-2)
	}
}

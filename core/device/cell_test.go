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

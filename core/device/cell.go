package device

import "fmt"

// MaxCellResolution is the finest H3 resolution a device may publish: cells of
// about 300 m², enough for coverage without naming a room.
const MaxCellResolution = 12

// Layout of an H3 cell index (h3geo.org, "H3 index"): reserved bit, 4 bits mode,
// 3 reserved bits, 4 bits resolution, 7 bits base cell, 15 digits of 3 bits.
const (
	cellMode     = 1
	baseCells    = 122
	cellDigits   = 15
	unusedDigit  = 7
	deletedDigit = 1 // a pentagon has no first child in the K direction
)

// pentagons are the base cells with five neighbours, a bit each.
var pentagons = func() (set [baseCells]bool) {
	for _, c := range []int{4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117} {
		set[c] = true
	}
	return set
}()

// CheckCell reports why cell is not an H3 cell of at most MaxCellResolution, or
// nil.
func CheckCell(cell uint64) error {
	resolution := int(cell >> 52 & 0xf)
	base := int(cell >> 45 & 0x7f)
	switch {
	case cell>>63 != 0, cell>>56&7 != 0:
		return fmt.Errorf("check H3 cell %x: reserved bits are set", cell)
	case cell>>59&0xf != cellMode:
		return fmt.Errorf("check H3 cell %x: mode is %d, want %d (a cell)", cell, cell>>59&0xf, cellMode)
	case resolution > MaxCellResolution:
		return fmt.Errorf("check H3 cell %x: resolution is %d, want at most %d", cell, resolution, MaxCellResolution)
	case base >= baseCells:
		return fmt.Errorf("check H3 cell %x: base cell is %d, want at most %d", cell, base, baseCells-1)
	}
	leading := true // only zeros so far
	for i := 1; i <= cellDigits; i++ {
		digit := int(cell >> (3 * (cellDigits - i)) & 7)
		if i > resolution {
			if digit != unusedDigit {
				return fmt.Errorf("check H3 cell %x: digit %d is %d beyond resolution %d, want %d", cell, i, digit, resolution, unusedDigit)
			}
			continue
		}
		if digit == unusedDigit {
			return fmt.Errorf("check H3 cell %x: digit %d is unused within resolution %d", cell, i, resolution)
		}
		if leading && digit != 0 {
			if pentagons[base] && digit == deletedDigit {
				return fmt.Errorf("check H3 cell %x: base cell %d is a pentagon without that child", cell, base)
			}
			leading = false
		}
	}
	return nil
}

// CellResolution is the resolution of a cell that CheckCell accepts.
func CellResolution(cell uint64) int { return int(cell >> 52 & 0xf) }

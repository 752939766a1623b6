package lease

import "strings"

// Vertical returns the vertical that a kind of offer belongs to: the part before
// the first '/', so "sensing" for both "sensing" and "sensing/weather".
func Vertical(kind string) string {
	name, _, _ := strings.Cut(kind, "/")
	return name
}

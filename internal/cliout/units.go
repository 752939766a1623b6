package cliout

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes writes n in the largest binary unit that keeps it at 1 or more.
func Bytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// Credits writes an amount of ucredit in dollars, exactly.
func Credits(ucredit uint64) string { return "$" + micro(ucredit) }

// Grains writes an amount of ugrain in GRAIN, exactly.
func Grains(ugrain uint64) string { return micro(ugrain) + " GRAIN" }

// micro writes n millionths exactly, with at least two decimals.
func micro(n uint64) string {
	s := fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000)
	for strings.HasSuffix(s, "0") && len(s)-strings.IndexByte(s, '.') > 3 {
		s = s[:len(s)-1]
	}
	return s
}

// Short is the beginning of a long hex id, enough to tell it from others.
func Short(id string) string {
	if len(id) <= 12 {
		return id
	}
	return id[:12]
}

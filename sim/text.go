package sim

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Format writes a value of a Line or Figure for a person, in integers all the
// way, so that it is the same everywhere.
func Format(v int64, unit string) string {
	switch unit {
	case "usd":
		return Dollars(v)
	case "bps":
		return fixed(v, 100, 1) + " %"
	case "ppm":
		return fixed(v, 10_000, 1) + " %"
	}
	return grouped(v)
}

// Dollars writes ucredit as dollars, with cents below 1,000 and up to six
// digits below one.
func Dollars(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	switch {
	case v >= 1000*dollar:
		return sign + "$" + grouped((v+dollar/2)/dollar)
	case v >= dollar:
		return sign + "$" + fixed(v, dollar, 2)
	case v == 0:
		return "$0"
	}
	return sign + "$0." + strings.TrimRight(fmt.Sprintf("%06d", v), "0")
}

// fixed writes v/unit with digits behind the point, rounded to nearest.
func fixed(v, unit int64, digits int) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	power := int64(1)
	for range digits {
		power *= 10
	}
	n := (v*power + unit/2) / unit
	return fmt.Sprintf("%s%s.%0*d", sign, grouped(n/power), digits, n%power)
}

// grouped writes a number with commas between its thousands.
func grouped(v int64) string {
	s := strconv.FormatInt(v, 10)
	sign := ""
	if v < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// WriteCSV writes every day of every run, one row each, with a header.
func WriteCSV(w io.Writer, results []Result) error {
	c := csv.NewWriter(w)
	head := []string{"seed", "day", "price_ucredit", "revenue_ucredit", "burned_ugrain", "released_ugrain", "emission_ugrain",
		"emission_ucredit", "supply_ugrain", "collateral_bps", "redemption_halted", "waiting_ucredit", "outstanding_ucredit", "providers",
		"capacity_tb", "held_tb", "wanted_tb", "price_level_ppm", "income_ucredit_tb", "return_90d_bps", "concentration_hhi_bps"}
	if err := c.Write(head); err != nil {
		return err
	}
	for _, r := range results {
		for _, d := range r.Days {
			row := make([]string, 0, len(head))
			for _, v := range []any{r.Seed, d.Day, d.Price, d.Revenue, d.Burned, d.Released, d.Emission, d.EmissionUSD, d.Supply, d.Collateral, d.Halted,
				d.Waiting, d.Outstanding, d.Providers, d.CapacityTB, d.HeldTB, d.WantedTB, d.PriceLevel, d.Income, d.Return, d.HHI} {
				row = append(row, fmt.Sprint(v))
			}
			if err := c.Write(row); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

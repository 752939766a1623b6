package main

import "github.com/spf13/cobra"

// newProvide gathers what puts hardware to work. The commands are those of the
// verticals, by the names that providers look for.
func newProvide(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "provide", Short: "Put hardware to work: a station or phone, a GNSS base, street images", Args: cobra.ArbitraryArgs, RunE: group,
		Long: "Each makes a device's key when there is none, registers it on the ledger and signs for the hardware, which stays as it\n" +
			"is. Disks are provided by grange up so far, whose providers serve that network only.",
		Example: "grange provide sensing --lat 48.14 --lon 11.57\n" +
			"grange provide base --source tcp://192.168.1.7:9000 --lat 48.14 --lon 11.57 --mount ROOF --caster 127.0.0.1:2101\n" +
			"grange provide images DIR",
	}
	station := newSensingStation(g)
	station.Use = "sensing"
	c.AddCommand(station, newSensingBase(g), newSensingImages(g))
	return c
}

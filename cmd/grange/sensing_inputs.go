package main

import (
	"io"
	"net"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/sensing"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

// inputFlags are the ways into a station beside HTTP.
type inputFlags struct {
	aprs, udp, broker, nmea string
	own                     []string
	stdin                   bool
}

func (f *inputFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.aprs, "aprs", "", "also answer stations that report to CWOP, on this TCP address")
	c.Flags().StringSliceVar(&f.own, "rtl433", nil, "own sensors among those that rtl_433 hears, MODEL/ID as it prints them")
	c.Flags().BoolVar(&f.stdin, "rtl433-stdin", false, "read what rtl_433 -F json prints from standard input")
	c.Flags().StringVar(&f.udp, "rtl433-udp", "", "take what rtl_433 -F syslog:HOST:PORT sends on this UDP address")
	c.Flags().StringVar(&f.broker, "rtl433-mqtt", "", "take what rtl_433 -F mqtt:... publishes: mqtt://[USER:PASSWORD@]HOST:PORT/TOPIC")
	c.Flags().StringVar(&f.nmea, "nmea-udp", "", "for a station that moves: take its place as NMEA on this UDP address")
}

// open opens what was asked for. Station.Run closes it.
func (f *inputFlags) open(c *cobra.Command) (in sensing.Inputs, err error) {
	hears := f.stdin || f.udp != "" || f.broker != ""
	if hears {
		if in.Sensors, err = sidecar.NewSensors(f.own...); err != nil {
			return in, cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "--rtl433: %w; it hears the neighbours' sensors too", err)
		}
	} else if len(f.own) > 0 {
		return in, cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "--rtl433 names sensors, but nothing says where rtl_433 is: give --rtl433-stdin, --rtl433-udp or --rtl433-mqtt")
	}
	var opened []io.Closer
	defer func() {
		if err != nil {
			for _, o := range opened {
				_ = o.Close()
			}
		}
	}()
	if f.aprs != "" {
		if in.APRS, err = listenOn(c, f.aprs); err != nil {
			return in, err
		}
		opened = append(opened, in.APRS)
	}
	for _, u := range []struct {
		addr string
		into *net.PacketConn
	}{{f.udp, &in.Syslog}, {f.nmea, &in.NMEA}} {
		if u.addr == "" {
			continue
		}
		if *u.into, err = net.ListenPacket("udp", u.addr); err != nil {
			return in, cliout.Fail(cliout.Unavailable, err, c.CommandPath()+" --help")
		}
		opened = append(opened, *u.into)
	}
	in.Broker = f.broker
	if f.stdin {
		in.Lines = c.InOrStdin()
	}
	return in, nil
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/sensing"
)

func newSensingGateway(g *globals) *cobra.Command {
	var listen, mqtt, dir, buyer, files, images string
	c := &cobra.Command{
		Use: "gateway", Short: "Take signed observations in and sell them, over HTTP and MQTT", Args: cobra.NoArgs,
		Long: "Takes batches of readings in from devices that the ledger of --home knows: POST /v1/observations over HTTP,\n" +
			"topic v1/obs/DEVICE over MQTT 3.1.1 and 5. A batch is answered when it survives a power cut.\n" +
			"With --buyer, readings are given out and paid from a standing lease of that account of --home, whose token is in\n" +
			"data/till/buyer.token of the directory; see \"grange sensing data\".\n" +
			"It does not publish to the verifiers: devices are paid for what they hand to the gateway of their network, which is\n" +
			"part of \"grange up\".\n" +
			"With --images, stored street images are compared with what their devices say of them. Keys of the storage are those\n" +
			"of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or of the network of --home.",
		Example: "grange sensing gateway --home ~/.grange --buyer buyer\n" +
			"grange sensing gateway --listen 127.0.0.1:8086 --mqtt 127.0.0.1:1883 --dir /var/lib/grange/sensing",
		RunE: func(c *cobra.Command, _ []string) error {
			return g.serving(c, func(ctx context.Context, l *client.Client, log *slog.Logger) error {
				web, err := listenOn(c, listen)
				if err != nil {
					return err
				}
				broker, err := listenOn(c, mqtt)
				if err != nil {
					_ = web.Close()
					return err
				}
				if dir == "" {
					dir = filepath.Join(g.home, "sensing-gateway")
				}
				fmt.Fprintf(c.ErrOrStderr(), "taking observations in on http://%s/v1/observations and mqtt://%s; Ctrl-C ends it\n", web.Addr(), broker.Addr())
				gateway := sensing.Gateway{Dir: dir, HTTP: web, MQTT: broker, Ledger: l, Logger: log}
				if buyer != "" {
					k, err := g.account(buyer)
					if err != nil {
						return err
					}
					gateway.Buyers = []sensing.Buyer{{Name: "buyer", Account: ledgerport.New(l, k, nil), Escrow: local.DataEscrow}}
				}
				if files != "" {
					if gateway.Files, err = evidence.Open(files); err != nil {
						return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
					}
				}
				if images != "" {
					if gateway.Images, err = g.pictures(images); err != nil {
						return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
					}
				}
				return gateway.Run(ctx)
			})
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8086", "address of HTTP")
	c.Flags().StringVar(&mqtt, "mqtt", "127.0.0.1:1883", "address of MQTT")
	c.Flags().StringVar(&dir, "dir", "", "directory of what was taken in (default: sensing-gateway in --home)")
	c.Flags().StringVar(&buyer, "buyer", "", "account of the network whose lease pays for readings")
	c.Flags().StringVar(&files, "files", "", "directory or http(s)://HOST/BUCKET[/PREFIX] that readings are kept in (default: in --dir)")
	c.Flags().StringVar(&images, "images", "", "URL of the storage of street images, http://HOST:PORT[/BUCKET] (bucket: street-images)")
	return c
}

// pictures reads images from a storage, with the keys of the environment or of the
// network.
func (g *globals) pictures(text string) (sensing.Pictures, error) {
	e, err := local.LoadEndpoints(g.home)
	if err != nil && !errors.Is(err, local.ErrNoNetwork) {
		return nil, err
	}
	b, err := bucketOf("--images", text, e.S3)
	if err == nil && b.AccessKey == "" {
		err = errors.New("--images: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the network of --home has no storage of its own")
	}
	b.Region = cmp.Or(b.Region, os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	return b, err
}

func newSensingStation(g *globals) *cobra.Command {
	var f stationFlags
	var inputs inputFlags
	var hide hideFlag
	c := &cobra.Command{
		Use: "station", Short: "Sign for a station, sensor or phone that cannot", Args: cobra.NoArgs,
		Long: "Answers like the services that hardware reports to, signs what it reports with a device key and hands it to a\n" +
			"gateway. The key is made when there is none, and registered for an account of the network of --home, in the H3\n" +
			"cell of resolution 8 around --lat and --lon. While the gateway cannot be reached the reports wait on disk.\n\n" +
			"Over HTTP: Weather Underground (GET /weatherstation/updateweatherstation.php), Ecowitt (POST /data/report/),\n" +
			"Sensor.Community (POST /v1/push-sensor-data/), Ichnaea's radio scans (POST /v2/geosubmit), tracks with readings\n" +
			"as GPX (POST /v1/tracks), what a detector saw from a car as JSON (POST /v1/events). Any station id and password will\n" +
			"do. With the flags below: APRS packets for CWOP, rtl_433, and NMEA for one that moves.",
		Example: "grange sensing station --lat 48.14 --lon 11.57 --listen 192.168.1.10:8087   # the console's settings: this address\n" +
			"curl 'http://127.0.0.1:8087/weatherstation/updateweatherstation.php?dateutc=now&tempf=68&humidity=50'\n" +
			"grange sensing station --lat 48 --lon 11 --moves --hide 48.1371,11.5754,300   # a phone, not heard around home\n" +
			"rtl_433 -F json | grange sensing station --lat 48.14 --lon 11.57 --rtl433 Fineoffset-WH24/247 --rtl433-stdin",
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("lat") || !c.Flags().Changed("lon") || !(f.lat >= -90 && f.lat <= 90 && f.lon >= -180 && f.lon <= 180) {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "--lat and --lon are missing or not on earth: where the station stands decides what its readings are worth")
			}
			var height *float64
			if c.Flags().Changed("altitude") {
				if height = &f.altitude; !(f.altitude >= -430 && f.altitude <= 9000) {
					return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "--altitude %v is not on earth, want metres above the sea", f.altitude)
				}
			}
			if f.dir == "" {
				f.dir = filepath.Join(g.home, "station")
			}
			if err := os.MkdirAll(f.dir, 0o700); err != nil {
				return err
			}
			private, err := local.DeviceKey(filepath.Join(f.dir, "device.pem"))
			if err != nil {
				return err
			}
			k, err := sensing.NewKey(private)
			if err != nil {
				return err
			}
			away, err := hide.places(c, f.dir, private)
			if err != nil {
				return err
			}
			in, err := inputs.open(c)
			if err != nil {
				return err
			}
			web, err := listenOn(c, f.listen)
			if err != nil {
				return err
			}
			at, err := g.enterStation(c, f, k)
			if err != nil {
				return err // the process ends, and what was opened with it
			}
			id := k.PublicKey().ID()
			fmt.Fprintf(c.ErrOrStderr(), "station %s answers on http://%s and hands to %s; Ctrl-C ends it\n", id, web.Addr(), at.Gateway)
			fmt.Fprintf(c.ErrOrStderr(), "whole hours are weighed, so it earns from five minutes past the next full hour on; then: grange reward explain %.12s --home %s\n", id, g.home)
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)) // its owner sees that it is heard
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return sensing.Station{Dir: filepath.Join(f.dir, "reports"), Key: k, ChainID: at.ChainID, Gateway: at.Gateway, Listen: web, Height: height, Hidden: away, Inputs: in, Logger: log}.Run(ctx)
		},
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8087", "address the station reports to")
	c.Flags().StringVar(&f.gateway, "gateway", "", "URL of the gateway (default: that of the network of --home)")
	c.Flags().StringVar(&f.dir, "dir", "", "directory of the key and of what waits (default: station in --home)")
	c.Flags().Float64Var(&f.lat, "lat", 0, "degrees north of where the station stands")
	c.Flags().Float64Var(&f.lon, "lon", 0, "degrees east")
	c.Flags().Float64Var(&f.altitude, "altitude", 0, "metres above the sea of the barometer, for a station that says only the pressure at sea level")
	c.Flags().StringVar(&f.owner, "owner", "buyer", "account of the network that the device belongs to")
	c.Flags().BoolVar(&f.moves, "moves", false, "a phone or a sensor that is carried: the ledger is told a region of 12,000 km² in place of the cell")
	hide.register(c)
	inputs.register(c)
	return c
}

// stationFlags are those of grange sensing station.
type stationFlags struct {
	listen, dir, gateway, owner string
	lat, lon, altitude          float64
	moves                       bool
}

// entered is where a station was entered, kept beside its key: it needs the ledger
// once, and takes reports also while that does not answer, as after a power cut.
type entered struct {
	ChainID string `json:"chain_id"`
	Gateway string `json:"gateway"`
}

// enterStation enters the device on the ledger, or while that is away finds where it
// was entered.
func (g *globals) enterStation(c *cobra.Command, f stationFlags, k sensing.Key) (at entered, err error) {
	path := filepath.Join(f.dir, "entered.json")
	err = g.serving(c, func(ctx context.Context, l *client.Client, _ *slog.Logger) error {
		if at.Gateway, err = g.gatewayOr(f.gateway); err != nil {
			return err
		}
		at.ChainID = l.ChainID()
		resolution, capability := h3.PublishedResolution, "weather-station"
		if f.moves {
			resolution, capability = movingRegion, "phone"
		}
		return g.registerStation(ctx, c.ErrOrStderr(), l, k, f.owner, h3.At(f.lat, f.lon, resolution), capability)
	})
	if err == nil {
		raw, err := json.Marshal(at)
		if err != nil {
			return at, err
		}
		return at, os.WriteFile(path, append(raw, '\n'), 0o600)
	}
	if cliout.Code(classify(err)) != cliout.Unavailable {
		return at, err
	}
	raw, before := os.ReadFile(path)
	if before != nil || json.Unmarshal(raw, &at) != nil {
		return at, err // it never was
	}
	at.Gateway = cmp.Or(f.gateway, at.Gateway)
	fmt.Fprintf(c.ErrOrStderr(), "the network does not answer (%v); what the station reports is signed and waits for it\n", err)
	return at, nil
}

// gatewayOr is the gateway asked for, or that of the network of --home.
func (g *globals) gatewayOr(asked string) (string, error) {
	if u, err := url.Parse(asked); asked != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return "", cliout.Failf(cliout.Usage, "grange provide --help", "--gateway %q is no URL, want http://HOST:PORT", asked)
	} else if asked != "" {
		return asked, nil
	}
	e, err := local.LoadEndpoints(g.home)
	if err != nil {
		return "", g.notRunning(err)
	}
	if e.Data == "" {
		return "", cliout.Failf(cliout.Usage, "grange provide --help", "--gateway is missing: the network of %s takes no observations in", g.home)
	}
	return e.Data, nil
}

// registerStation enters a device that observes on the ledger if it is not there.
func (g *globals) registerStation(ctx context.Context, w io.Writer, l *client.Client, k sensing.Key, owner string, place h3.Cell, capability string) error {
	accounts, err := local.Accounts(g.home)
	if err != nil {
		return err
	}
	account, ok := accounts[owner]
	if !ok {
		return cliout.Failf(cliout.NotFound, "ls "+g.home+"/keys", "find account %q: the network has no such account", owner)
	}
	was, err := ledgerport.New(l, account, nil).Register(ctx, k.Private(), devicepb.Profile{
		Class: devicepb.CLASS_PRN, Cell: uint64(place), Capabilities: []string{capability}, Status: devicepb.STATUS_ACTIVE,
	})
	if err != nil {
		return err
	}
	if !was {
		fmt.Fprintf(w, "device %s registered for %s\n", k.PublicKey().ID(), owner)
		return nil
	}
	return tellKnown(ctx, w, l, k.PublicKey().ID(), owner, account.Address().String(), place)
}

// tellKnown says where the ledger has a device that was there before otherwise than
// the command has it.
func tellKnown(ctx context.Context, w io.Writer, l *client.Client, id device.ID, owner, address string, place h3.Cell) error {
	answer, err := devicepb.NewQueryClient(l.Conn()).Device(ctx, &devicepb.QueryDeviceRequest{Id: id.String()})
	if err != nil {
		return err
	}
	if d := answer.Device; d.Owner != address {
		fmt.Fprintf(w, "device %.12s belongs to %s on the ledger, not to %s: who owns it is paid\n", id, d.Owner, owner)
	}
	// What moves is in a wide cell, and what it signs says where it is.
	if cell := h3.Cell(answer.Device.Profile.Cell); cell != place && place.Resolution() == h3.PublishedResolution {
		fmt.Fprintf(w, "device %.12s is in cell %s on the ledger, where --lat and --lon were when it was registered, and is weighed there; they say %s now. At a new place give it a key of its own, with another --dir\n", id, cell, place)
	}
	return nil
}

// serving connects to the ledger of --home and runs f until it is interrupted.
func (g *globals) serving(c *cobra.Command, f func(ctx context.Context, l *client.Client, log *slog.Logger) error) error {
	e, err := local.LoadEndpoints(g.home)
	if err != nil {
		return g.notRunning(err)
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	dial, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	l, err := client.Dial(dial, client.Endpoints{GRPC: e.GRPC, RPC: e.RPC, Logger: log})
	if err != nil {
		return g.notRunning(err)
	}
	defer func() { _ = l.Close() }()
	if err := f(ctx, l, log); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func listenOn(c *cobra.Command, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, cliout.Fail(cliout.Unavailable, err, c.CommandPath()+" --help")
	}
	return l, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/sensing"
	"github.com/grange-network/grange/vertical/sensing/images"
)

// imageFlags are those of `grange sensing images`.
type imageFlags struct {
	key, s3, gateway, owner, dir string
	hide                         hideFlag
}

func newSensingImages(g *globals) *cobra.Command {
	var f imageFlags
	c := &cobra.Command{
		Use:   "images DIR",
		Short: "Take street images with GPS data in",
		Long: "Reads the JPEGs of a folder that say in their EXIF data where and when they were taken, blurs faces and licence\n" +
			"plates, stores them in the network's S3 storage without any metadata, and signs a record of each with a device\n" +
			"key, which is made and registered for an account of the network of --home when it is not there. An image is\n" +
			"taken in once, however often the folder is given, and until 71 hours after it was taken.\n" +
			"Not every face and plate is found: look at what is stored before you show it.\n\n" +
			"Keys of the storage are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or of the network of --home.",
		Example: "grange sensing images /media/card/DCIM\n" +
			"grange sensing images drive --key camera.pem --s3 http://127.0.0.1:9000/street --gateway http://127.0.0.1:8086",
		Args: args("DIR"),
		RunE: func(c *cobra.Command, names []string) error {
			return g.serving(c, func(ctx context.Context, l *client.Client, log *slog.Logger) error {
				return g.takeImages(ctx, c, l, log, names[0], f)
			})
		},
	}
	c.Flags().StringVar(&f.key, "key", "", "file of the device's key (default: camera/device.pem in --home)")
	c.Flags().StringVar(&f.s3, "s3", "", "URL of the storage with a bucket, http://HOST:PORT/BUCKET (default: street-images of the network's)")
	c.Flags().StringVar(&f.gateway, "gateway", "", "URL of the gateway that takes observations in (default: the network's)")
	c.Flags().StringVar(&f.owner, "owner", "buyer", "account of the network that the device belongs to")
	c.Flags().StringVar(&f.dir, "dir", "", "directory of what waits and what is done (default: the key's)")
	f.hide.register(c)
	return c
}

// takeImages takes one folder in.
func (g *globals) takeImages(ctx context.Context, c *cobra.Command, l *client.Client, log *slog.Logger, folder string, f imageFlags) error {
	lat, lon, err := sensing.FirstPlace(folder)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return cliout.Fail(cliout.NotFound, err, c.CommandPath()+" --help")
		}
		return err
	}
	e, err := local.LoadEndpoints(g.home)
	if err != nil {
		return g.notRunning(err)
	}
	store, err := bucketOf("--s3", f.s3, e.S3)
	if err != nil {
		return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
	}
	if f.gateway, err = g.gatewayOr(f.gateway); err != nil {
		return err
	}
	if f.key == "" {
		f.key = filepath.Join(g.home, "camera", "device.pem")
	}
	if f.dir == "" {
		f.dir = filepath.Dir(f.key)
	}
	for _, dir := range []string{f.dir, filepath.Dir(f.key)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	private, err := local.DeviceKey(f.key)
	if err != nil {
		return err
	}
	away, err := f.hide.places(c, f.dir, private)
	if err != nil {
		return err
	}
	k, err := sensing.NewKey(private)
	if err != nil {
		return err
	}
	if err := g.registerStation(ctx, c.ErrOrStderr(), l, k, f.owner, h3.At(lat, lon, movingRegion), "camera"); err != nil {
		return err
	}
	done, err := sensing.Images{
		Folder: folder, Dir: f.dir, Key: k, ChainID: l.ChainID(), Gateway: f.gateway, Store: store, Hidden: away, Logger: log,
		Told: func(path string, frame images.Frame, err error) {
			if err != nil {
				fmt.Fprintf(c.ErrOrStderr(), "%s: %v\n", path, err)
				return
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s: stored as %s, %d faces and %d plates blurred\n", path, frame.Key, frame.Faces, frame.Plates)
		},
	}.Run(ctx)
	if err != nil {
		return err
	}
	return g.out(c).Emit(done, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d images of device %s taken in (%d bytes), %d known before, %d left out\n", done.Images, k.PublicKey().ID(), done.Bytes, done.Known, done.Refused)
		return err
	})
}

// movingRegion is the resolution of the cell in which what moves is registered, about
// 12,000 km²: what it signs says where it is.
const movingRegion = 3

// bucketOf is the bucket of a URL, with the keys of the environment or of the
// network.
func bucketOf(flag, text string, door local.S3Door) (sensing.Bucket, error) {
	b := sensing.Bucket{URL: door.URL, Name: sensing.ImagesBucket, Region: door.Region, AccessKey: door.AccessKey, SecretKey: door.SecretKey}
	if id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"); id != "" && secret != "" {
		b.AccessKey, b.SecretKey = id, secret
	}
	if text == "" {
		return b, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Count(strings.Trim(u.Path, "/"), "/") > 0 {
		return b, fmt.Errorf("%s %q: want http://HOST:PORT/BUCKET", flag, text)
	}
	b.URL = u.Scheme + "://" + u.Host
	if name := strings.Trim(u.Path, "/"); name != "" {
		b.Name = name
	}
	return b, nil
}

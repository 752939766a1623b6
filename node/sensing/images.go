package sensing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/hidden"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/images/exif"
	"github.com/grange-network/grange/vertical/sensing/images/picture"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

// Images takes street images in from a folder: what shows whom is blurred, the
// image is stored, and its record is signed and handed to a gateway.
type Images struct {
	Folder  string // with JPEGs, and folders of them
	Dir     string // of the log and of what is done
	Key     Key
	ChainID string
	Gateway string // URL
	Store   Bucket
	Hidden  hidden.Places // images taken there are left out
	Logger  *slog.Logger
	// Told is called for each image; err says why one is left out.
	Told func(path string, f images.Frame, err error)
}

// Imported is what became of a folder.
type Imported struct {
	Images  int   `json:"images"`
	Known   int   `json:"known"` // were taken in before
	Refused int   `json:"refused"`
	Bytes   int64 `json:"stored_bytes"`
	Faces   int   `json:"faces_blurred"`
	Plates  int   `json:"plates_blurred"`
	Batches int   `json:"batches"`
}

// framesPerBatch leaves room below the size of a batch.
const framesPerBatch = 150

// Run takes the folder in and returns when the gateway has all records. Images
// that were taken in before are passed over.
func (m Images) Run(ctx context.Context) (Imported, error) {
	var out Imported
	paths, err := jpegs(m.Folder)
	if err != nil {
		return out, err
	}
	c, err := sidecar.Open(sidecar.Config{Dir: filepath.Join(m.Dir, "reports"), ChainID: m.ChainID, Signer: m.Key, Gateway: m.Gateway, Logger: m.Logger})
	if err != nil {
		return out, err
	}
	defer func() { _ = c.Close() }()
	done, err := openDone(filepath.Join(m.Dir, "images.done"))
	if err != nil {
		return out, err
	}
	defer func() { _ = done.file.Close() }()
	if err := m.Store.make(ctx); err != nil {
		return out, err
	}
	var taken []source
	for _, path := range paths {
		s, err := m.take(ctx, path, done)
		switch {
		case errors.Is(err, errKnown):
			out.Known++
		case errors.Is(err, errLeftOut):
			out.Refused++
			m.Told(path, s.frame, err)
		case err != nil:
			return out, err
		default:
			m.Told(path, s.frame, nil)
			out.Images, out.Bytes = out.Images+1, out.Bytes+int64(s.frame.Size)
			out.Faces, out.Plates = out.Faces+int(s.frame.Faces), out.Plates+int(s.frame.Plates)
			taken = append(taken, s)
		}
	}
	slices.SortStableFunc(taken, func(a, b source) int { return a.frame.Time.Compare(b.frame.Time) })
	for part := range slices.Chunk(taken, framesPerBatch) {
		if err := report(ctx, c, part, done); err != nil {
			return out, err
		}
		out.Batches++
	}
	return out, c.Flush(ctx)
}

// source is an image that is stored.
type source struct {
	sum   [sha256.Size]byte // of the file as it was found
	frame images.Frame
}

func report(ctx context.Context, c *sidecar.Sidecar, part []source, done *done) error {
	frames := make([]images.Frame, len(part))
	for i, s := range part {
		frames[i] = s.frame
	}
	payload, err := images.Encode(frames)
	if err != nil {
		return err
	}
	if _, err := c.ReportPayload(ctx, images.Content, payload); err != nil {
		return err
	}
	return done.add(part)
}

// jpegs lists the JPEGs of a folder and those below it.
func jpegs(folder string) (out []string, err error) {
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch strings.ToLower(filepath.Ext(path)) {
		case ".jpg", ".jpeg":
			if d.Type().IsRegular() {
				out = append(out, path)
			}
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s has no .jpg or .jpeg: %w", folder, fs.ErrNotExist)
	}
	return out, err
}

// FirstPlace is where the first image of a folder that says so was taken, in
// degrees.
func FirstPlace(folder string) (lat, lon float64, err error) {
	paths, err := jpegs(folder)
	if err != nil {
		return 0, 0, err
	}
	for _, path := range paths {
		file, err := readLimited(path)
		if err != nil {
			return 0, 0, err
		}
		if info, err := exif.Read(file); err == nil && !math.IsNaN(info.Lat) {
			return info.Lat, info.Lon, nil
		}
	}
	return 0, 0, fmt.Errorf("none of the %d images in %s says where it was taken (EXIF GPSLatitude, GPSLongitude)", len(paths), folder)
}

var (
	errKnown   = errors.New("image was taken in before")
	errLeftOut = errors.New("image is left out")
)

// take blurs, stores and describes one image.
func (m Images) take(ctx context.Context, path string, done *done) (source, error) {
	file, err := readLimited(path)
	if err != nil {
		return source{}, err
	}
	s := source{sum: sha256.Sum256(file)}
	if done.has[s.sum] {
		return s, errKnown
	}
	info, err := exif.Read(file)
	if err == nil {
		err = usable(info, time.Now())
	}
	if err == nil && m.Hidden.Hold(info.Lat, info.Lon) {
		err = errors.New("it was taken in a hidden place")
	}
	if err != nil {
		return s, fmt.Errorf("%w: %w", errLeftOut, err)
	}
	p, err := picture.Prepare(file, info.Orientation)
	if err == nil && len(p.JPEG) > images.MaxSize {
		err = fmt.Errorf("it has %d bytes as it is stored, want at most %d", len(p.JPEG), images.MaxSize)
	}
	if err != nil {
		return s, fmt.Errorf("%w: %w", errLeftOut, err)
	}
	s.frame = frameOf(info, p)
	id := m.Key.PublicKey().ID()
	key := fmt.Sprintf("%s/%s-%x.jpg", id.String()[:16], info.Time.Format("2006-01-02/150405.000"), s.frame.SHA256[:4])
	s.frame.Key = m.Store.Name + "/" + key
	if err := m.Store.put(ctx, key, p.JPEG, s.frame.SHA256); err != nil {
		return s, err
	}
	done.has[s.sum] = true
	return s, nil
}

// usable says what a record lacks that the image should tell.
func usable(info exif.Info, now time.Time) error {
	switch age := now.Sub(info.Time); {
	case math.IsNaN(info.Lat):
		return errors.New("it does not say where it was taken (GPSLatitude, GPSLongitude)")
	case info.Time.IsZero():
		return errors.New("it does not say when it was taken in UTC (GPSDateStamp and GPSTimeStamp, or DateTimeOriginal with OffsetTimeOriginal)")
	case age > Past:
		return fmt.Errorf("it was taken at %s; a gateway takes images up to 72 h old", info.Time.Format(time.RFC3339))
	case age < -time.Minute:
		return fmt.Errorf("it was taken at %s, which is still to come: check the camera's clock", info.Time.Format(time.RFC3339))
	}
	return nil
}

func frameOf(info exif.Info, p picture.Prepared) images.Frame {
	f := images.Frame{
		Time: info.Time, Lat: int32(math.Round(info.Lat * 1e7)), Lon: int32(math.Round(info.Lon * 1e7)), Heading: images.NoHeading,
		SHA256: sha256.Sum256(p.JPEG), Size: uint32(len(p.JPEG)), Seen: p.Seen, Camera: strings.TrimSpace(info.Make + " " + info.Model),
		Faces: uint16(min(p.Faces, math.MaxUint16)), Plates: uint16(min(p.Plates, math.MaxUint16)),
	}
	if !math.IsNaN(info.Heading) {
		f.Heading = uint16(math.Round(info.Heading*10)) % 3600
	}
	return f
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, picture.MaxBytes+1)) // Prepare refuses what is longer
}

// done are the files whose records are in the log: one SHA-256 in hex on each
// line.
type done struct {
	file *os.File
	has  map[[sha256.Size]byte]bool
}

func openDone(path string) (*done, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d := &done{has: map[[sha256.Size]byte]bool{}}
	for line := range strings.Lines(string(text)) {
		if sum, err := hex.DecodeString(strings.TrimSpace(line)); err == nil && len(sum) == sha256.Size {
			d.has[[sha256.Size]byte(sum)] = true
		}
	}
	d.file, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return d, err
}

func (d *done) add(part []source) error {
	var lines bytes.Buffer
	for _, s := range part {
		fmt.Fprintf(&lines, "%x\n", s.sum)
	}
	if _, err := d.file.Write(lines.Bytes()); err != nil {
		return fmt.Errorf("note what is done: %w", err)
	}
	return d.file.Sync()
}

// Package factstest has cars with cameras that tell what they saw and take images of
// streets, for tests of what is made of them and sold.
package factstest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/events"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/images/picture"
	"github.com/grange-network/grange/vertical/sensing/images/scene"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
	"github.com/grange-network/grange/vertical/sensing/track"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

// Cameras is a log of cars, each its owner's, and what is stored of their images.
type Cameras struct {
	*storetest.Log

	mu     sync.Mutex
	stored map[string][]byte
}

// NewCameras is an empty log.
func NewCameras() *Cameras {
	return &Cameras{Log: storetest.NewLog(), stored: map[string][]byte{}}
}

// Device implements facts.Registry: each device has an owner of its own.
func (*Cameras) Device(_ context.Context, id device.ID) (facts.Home, error) {
	return facts.Home{Owner: id.String()}, nil
}

// Get implements query.Objects.
func (c *Cameras) Get(_ context.Context, key string, limit int64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.stored[key]; len(b) > 0 && int64(len(b)) <= limit {
		return b, nil
	}
	return nil, errors.New("there is none")
}

// Change makes what is stored other than it was.
func (c *Cameras) Change(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stored[key] = c.stored[key][:len(c.stored[key])-1]
}

// Keys are the images that have these bytes.
func (c *Cameras) Keys(data []byte) (keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, b := range c.stored {
		if string(b) == string(data) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Drive adds half an hour of a car in Munich: a pothole each three seconds, and
// images of the first twelve places. The same number has the same way.
func (c *Cameras) Drive(t testing.TB, number int, at time.Time) *storetest.Station {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(number), 1))
	way := drive.Drive(rnd, at.UnixMilli(), 600, 3, 48.14, 11.57)
	seen := make([]events.Event, len(way))
	for i, p := range way {
		left := uint16(rnd.IntN(8000))
		seen[i] = events.Event{
			Time: time.UnixMilli(p.Time).UTC(), Class: events.Pothole, Confidence: 900, Box: events.Box{Left: left, Top: 1, Right: left + 500, Bottom: 700},
			Pose: events.Pose{Lat: int32(p.Lat * 1e7), Lon: int32(p.Lon * 1e7), Heading: uint16(p.Heading*10) % 3600, Speed: 1000},
		}
	}
	s := storetest.NewStation(t, number)
	payload, err := events.Encode(seen)
	if err != nil {
		t.Fatal(err)
	}
	c.Add(s, 0, s.Payload(t, events.Content, payload))
	if payload, err = images.Encode(c.photograph(t, number, way[:12])); err != nil {
		t.Fatal(err)
	}
	c.Add(s, 0, s.Payload(t, images.Content, payload))
	return s
}

func (c *Cameras) photograph(t testing.TB, number int, way []track.Point) (out []images.Frame) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	street := scene.New(uint64(number))
	for i, p := range way {
		img, _ := street.View(float64(40*i), 288, 192)
		file := scene.JPEG(img, 90)
		shown, err := picture.Look(file)
		if err != nil {
			t.Fatal(err)
		}
		f := images.Frame{
			Time: time.UnixMilli(p.Time).UTC(), Lat: int32(p.Lat * 1e7), Lon: int32(p.Lon * 1e7), Heading: uint16(p.Heading*10) % 3600,
			Key: fmt.Sprintf("street/%d-%d-%d.jpg", number, p.Time, i), SHA256: sha256.Sum256(file), Size: uint32(len(file)), Seen: shown,
		}
		c.stored[f.Key] = file
		out = append(out, f)
	}
	return out
}

// Keeper keeps what is in the log, at a time.
func (c *Cameras) Keeper(t testing.TB, now func() time.Time) *facts.Keeper {
	t.Helper()
	k, err := facts.Open(facts.Config{
		Path: filepath.Join(t.TempDir(), "facts.db"), ChainID: storetest.Chain, Registry: c, Kinds: []sensing.Kind{events.Kind{}, images.Kind{}}, Now: now,
	})
	if err == nil {
		err = k.Catch(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// Lose makes that nothing is stored any more.
func (c *Cameras) Lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.stored)
}

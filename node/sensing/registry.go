package sensing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/publish"
)

// Registry reads devices' keys from the ledger. A key belongs to its device for
// ever, so it is asked for once.
type Registry struct {
	devices devicepb.QueryClient

	mu    sync.Mutex
	keys  map[device.ID]device.PublicKey
	homes map[device.ID]seen
}

// seen is whose a device was and where, and when it was asked.
type seen struct {
	facts.Home
	at time.Time
}

// fresh is how long that is believed: a device may move, at a price, or be sold.
const fresh = 10 * time.Minute

// maxKeys bounds what is remembered.
const maxKeys = 100_000

var (
	_ ingest.Registry  = (*Registry)(nil)
	_ publish.Registry = (*Registry)(nil)
	_ facts.Registry   = (*Registry)(nil)
)

// NewRegistry asks the node behind c.
func NewRegistry(c *client.Client) *Registry {
	return &Registry{devices: devicepb.NewQueryClient(c.Conn()), keys: map[device.ID]device.PublicKey{}, homes: map[device.ID]seen{}}
}

// Key implements ingest.Registry.
func (r *Registry) Key(ctx context.Context, id device.ID) (device.PublicKey, error) {
	r.mu.Lock()
	k, ok := r.keys[id]
	r.mu.Unlock()
	if ok {
		return k, nil
	}
	answer, err := r.devices.Device(ctx, &devicepb.QueryDeviceRequest{Id: id.String()})
	if errors.Is(err, client.ErrNotFound) {
		return k, ingest.ErrUnknown
	}
	if err != nil {
		return k, fmt.Errorf("read device %s: %w", id, err)
	}
	k, err = device.NewPublicKey(device.KeyType(answer.Device.KeyType), answer.Device.PublicKey)
	if err != nil {
		return k, fmt.Errorf("key of device %s: %w", id, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) >= maxKeys {
		clear(r.keys)
	}
	r.keys[id] = k
	return k, nil
}

// Cell implements publish.Registry.
func (r *Registry) Cell(ctx context.Context, id device.ID) (h3.Cell, error) {
	home, err := r.Device(ctx, id)
	return home.Cell, err
}

// Device implements facts.Registry.
func (r *Registry) Device(ctx context.Context, id device.ID) (facts.Home, error) {
	r.mu.Lock()
	got, ok := r.homes[id]
	r.mu.Unlock()
	if ok && time.Since(got.at) < fresh {
		return got.Home, nil
	}
	answer, err := r.devices.Device(ctx, &devicepb.QueryDeviceRequest{Id: id.String()})
	if errors.Is(err, client.ErrNotFound) {
		return facts.Home{}, ingest.ErrUnknown
	}
	if err != nil {
		return facts.Home{}, fmt.Errorf("read device %s: %w", id, err)
	}
	home := facts.Home{Owner: answer.Device.Owner, Cell: h3.Cell(answer.Device.Profile.Cell)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.homes) >= maxKeys {
		clear(r.homes)
	}
	r.homes[id] = seen{home, time.Now()}
	return home, nil
}

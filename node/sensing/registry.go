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
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/publish"
)

// Registry reads devices' keys from the ledger. A key belongs to its device for
// ever, so it is asked for once.
type Registry struct {
	devices devicepb.QueryClient

	mu    sync.Mutex
	keys  map[device.ID]device.PublicKey
	cells map[device.ID]seen
}

// seen is where a device was, and when it was asked.
type seen struct {
	cell h3.Cell
	at   time.Time
}

// fresh is how long a device's cell is believed: it may move, at a price.
const fresh = 10 * time.Minute

// maxKeys bounds what is remembered.
const maxKeys = 100_000

var (
	_ ingest.Registry  = (*Registry)(nil)
	_ publish.Registry = (*Registry)(nil)
)

// NewRegistry asks the node behind c.
func NewRegistry(c *client.Client) *Registry {
	return &Registry{devices: devicepb.NewQueryClient(c.Conn()), keys: map[device.ID]device.PublicKey{}, cells: map[device.ID]seen{}}
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
	r.mu.Lock()
	got, ok := r.cells[id]
	r.mu.Unlock()
	if ok && time.Since(got.at) < fresh {
		return got.cell, nil
	}
	answer, err := r.devices.Device(ctx, &devicepb.QueryDeviceRequest{Id: id.String()})
	if errors.Is(err, client.ErrNotFound) {
		return 0, ingest.ErrUnknown
	}
	if err != nil {
		return 0, fmt.Errorf("read device %s: %w", id, err)
	}
	cell := h3.Cell(answer.Device.Profile.Cell)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cells) >= maxKeys {
		clear(r.cells)
	}
	r.cells[id] = seen{cell, time.Now()}
	return cell, nil
}

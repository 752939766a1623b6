package device

import (
	"cosmossdk.io/collections/codec"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// storedDevice is a device as the state keeps it: without id and did, which
// follow from the key. They would be a third of what a device takes on disk.
type storedDevice struct {
	codec.ValueCodec[devicepb.Device]
}

// Encode leaves out what Decode derives.
func (c storedDevice) Encode(d devicepb.Device) ([]byte, error) {
	d.Id, d.Did = "", ""
	return c.ValueCodec.Encode(d)
}

// Decode derives id and did from the key.
func (c storedDevice) Decode(b []byte) (devicepb.Device, error) {
	d, err := c.ValueCodec.Decode(b)
	if err != nil {
		return d, err
	}
	key := device.StoredKey(device.KeyType(d.KeyType), d.PublicKey)
	d.Id, d.Did = key.ID().String(), key.DID()
	return d, nil
}

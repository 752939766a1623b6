package sensing

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing/cose"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// MaxBatch is the most bytes of a signed batch; a segment's row holds one.
const MaxBatch = 48 << 10

// How far the time of a reading may be from when a gateway takes it in.
const (
	Late  = 72 * time.Hour // back
	Early = time.Minute    // ahead, since clocks differ
)

// Header labels of a batch: RFC 9052's content type, and two of ours from the
// range for private use.
const (
	labelContent  = 3
	labelCounter  = -70001
	labelPrevious = -70002
)

// Content types of CoAP (RFC 8428 section 12.3).
const (
	contentJSON = 110
	contentCBOR = 112

	maxContent = 100 // bytes of a media type
)

// Hash names a batch: SHA-256 of what its device signed.
type Hash [sha256.Size]byte

// Batch is a pack of readings that one device signed. A device numbers its
// batches from 1 and names the one before in each, so that replay, loss and a
// copied key are evident.
type Batch struct {
	Device   device.ID
	Counter  uint64
	Previous Hash // of batch Counter-1; zero for the first
	Hash     Hash
	Records  []senml.Record // of a batch in SenML
	Content  string         // the media type of one in a format of a kind's own
	Payload  []byte         // of such a batch
	Raw      []byte         // COSE_Sign1
}

// Errors of a batch.
var (
	ErrMalformed = errors.New("malformed batch")
	ErrSignature = errors.New("the batch is not signed by the device it names")
)

// external binds a batch to its purpose and to one network.
func external(chainID string) []byte { return append([]byte("grange/observations/v1\x00"), chainID...) }

// Sender reads which device a batch says it is of. Nothing is verified.
func Sender(raw []byte) (device.ID, error) {
	e, err := Parse(raw)
	if err != nil {
		return device.ID{}, err
	}
	return e.Device, nil
}

// Envelope is a signed batch whose signature is not checked.
type Envelope struct {
	Device device.ID // that it says it is of

	message *cose.Message
	raw     []byte
}

// Parse reads the outside of a batch. Nothing is verified.
func Parse(raw []byte) (*Envelope, error) {
	if len(raw) > MaxBatch {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrMalformed, len(raw), MaxBatch)
	}
	m, err := cose.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	e := &Envelope{message: m, raw: raw}
	if n := copy(e.Device[:], m.KeyID()); n != len(e.Device) || len(m.KeyID()) != n {
		return nil, fmt.Errorf("%w: key id of %d bytes, want the device's id of %d", ErrMalformed, len(m.KeyID()), len(e.Device))
	}
	return e, nil
}

// Open reads a batch and checks that the key signed it for this network.
func Open(raw []byte, key device.PublicKey, chainID string) (*Batch, error) {
	e, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	return e.Open(key, chainID)
}

// Open reads the batch and checks that the key signed it for this network.
func (e *Envelope) Open(key device.PublicKey, chainID string) (*Batch, error) {
	signed, err := e.of(key, chainID)
	if err != nil {
		return nil, err
	}
	if err := e.message.VerifySigned(key, signed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return e.read(signed)
}

// of returns what must be signed if the envelope is of the key.
func (e *Envelope) of(key device.PublicKey, chainID string) ([]byte, error) {
	if e.Device != key.ID() {
		return nil, fmt.Errorf("%w: key of %s, batch of %s", ErrSignature, key.ID(), e.Device)
	}
	return e.message.Signed(external(chainID)), nil
}

// OpenAll opens many envelopes with the keys of the same places at about half of
// what Open costs; cose.Batch says what it cannot be used for. Either the batch or
// the error of a place is nil.
func OpenAll(envelopes []*Envelope, keys []device.PublicKey, chainID string) ([]*Batch, []error) {
	batches, errs := make([]*Batch, len(envelopes)), make([]error, len(envelopes))
	var signatures cose.Batch
	signed, at := make([][]byte, len(envelopes)), make([]int, 0, len(envelopes))
	for i, e := range envelopes {
		if signed[i], errs[i] = e.of(keys[i], chainID); errs[i] == nil {
			signatures.Add(e.message, keys[i], signed[i])
			at = append(at, i)
		}
	}
	for n, err := range signatures.Verify() {
		i := at[n]
		if err != nil {
			errs[i] = fmt.Errorf("%w: %w", ErrSignature, err)
			continue
		}
		batches[i], errs[i] = envelopes[i].read(signed[i])
	}
	return batches, errs
}

// Read reads a batch whose signature was checked before, as that of a batch in a
// gateway's log was.
func Read(raw []byte, chainID string) (*Batch, error) {
	e, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	return e.read(e.message.Signed(external(chainID)))
}

func (e *Envelope) read(signed []byte) (*Batch, error) {
	m := e.message
	b := &Batch{Device: e.Device, Hash: sha256.Sum256(signed), Raw: e.raw}
	counter, ok := m.Protected[labelCounter].(int64)
	if !ok || counter < 1 {
		return nil, fmt.Errorf("%w: counter is %v, want a number from 1", ErrMalformed, m.Protected[labelCounter])
	}
	b.Counter = uint64(counter)
	previous, ok := m.Protected[labelPrevious].([]byte)
	if !ok || copy(b.Previous[:], previous) != len(b.Previous) || len(previous) != len(b.Previous) {
		return nil, fmt.Errorf("%w: no hash of the batch before", ErrMalformed)
	}
	if b.Counter == 1 && b.Previous != (Hash{}) {
		return nil, fmt.Errorf("%w: the first batch names one before it", ErrMalformed)
	}
	if err := b.decode(m); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Batch) decode(m *cose.Message) (err error) {
	switch content := m.Protected[labelContent]; content {
	case int64(contentJSON):
		b.Records, err = senml.ParseJSON(m.Payload)
	case int64(contentCBOR):
		b.Records, err = senml.ParseCBOR(m.Payload)
	default:
		named, ok := content.(string)
		if !ok || named == "" || len(named) > maxContent || len(m.Payload) == 0 {
			return fmt.Errorf("%w: content type %v with %d bytes, want %d or %d (SenML in JSON or CBOR) or a media type", ErrMalformed, content, len(m.Payload), contentJSON, contentCBOR)
		}
		b.Content, b.Payload = named, m.Payload
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(b.Records) == 0 {
		return fmt.Errorf("%w: no readings", ErrMalformed)
	}
	return nil
}

// Signer signs for one device: 64 bytes over the argument.
type Signer interface {
	PublicKey() device.PublicKey
	Sign(message []byte) ([]byte, error)
}

// Seal signs readings as batch number counter behind the batch previous.
func Seal(s Signer, chainID string, counter uint64, previous Hash, records []senml.Record) (*Batch, error) {
	payload, err := senml.MarshalCBOR(records)
	if err != nil {
		return nil, fmt.Errorf("encode readings: %w", err)
	}
	return seal(s, chainID, counter, previous, int64(contentCBOR), payload)
}

// SealPayload signs a payload in a format of a kind's own.
func SealPayload(s Signer, chainID string, counter uint64, previous Hash, content string, payload []byte) (*Batch, error) {
	return seal(s, chainID, counter, previous, content, payload)
}

func seal(s Signer, chainID string, counter uint64, previous Hash, content any, payload []byte) (*Batch, error) {
	raw, err := cose.Sign(s.PublicKey(), s.Sign, payload, external(chainID), cose.Header{
		labelContent: content, labelCounter: int64(counter), labelPrevious: previous[:],
	})
	if err != nil {
		return nil, fmt.Errorf("sign batch %d: %w", counter, err)
	}
	return Open(raw, s.PublicKey(), chainID)
}

// Times returns the times of the first and the last reading. formats are those
// that a batch not in SenML may have.
func (b *Batch) Times(formats []Format) (first, last time.Time, err error) {
	if b.Content != "" {
		for _, f := range formats {
			if f.Content() == b.Content {
				return f.Times(b.Payload)
			}
		}
		return first, last, fmt.Errorf("%w: no kind of observation is written as %q", ErrMalformed, b.Content)
	}
	for i, r := range b.Records {
		if i == 0 || r.Time.Before(first) {
			first = r.Time
		}
		if i == 0 || r.Time.After(last) {
			last = r.Time
		}
	}
	return first, last, nil
}

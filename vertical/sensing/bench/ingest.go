package main

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"runtime"
	"sync"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/internal/benchtable"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/cose"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/weather"
)

const chainID = "bench-1"

// sender is a device with batches that are signed already.
type sender struct {
	private ed25519.PrivateKey
	public  device.PublicKey
	batches [][]byte
}

func (s *sender) PublicKey() device.PublicKey         { return s.public }
func (s *sender) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.private, message), nil }

// senders makes devices with so many batches of so many readings each.
func senders(devices, batches, readings int) ([]*sender, error) {
	now := time.Now()
	var all []*sender
	for i := range devices {
		seed := make([]byte, ed25519.SeedSize)
		binary.BigEndian.PutUint32(seed, uint32(i))
		s := &sender{private: ed25519.NewKeyFromSeed(seed)}
		var err error
		if s.public, err = device.NewPublicKey(device.Ed25519, s.private.Public().(ed25519.PublicKey)); err != nil {
			return nil, err
		}
		var previous sensing.Hash
		for n := range batches {
			records := make([]senml.Record, readings)
			for j := range records {
				records[j] = senml.Record{Name: "temperature", Unit: "Cel", Time: now.Add(time.Duration(j-readings) * time.Second), Value: 20 + float64(j)/10}
			}
			b, err := sensing.Seal(s, chainID, uint64(n+1), previous, records)
			if err != nil {
				return nil, err
			}
			s.batches, previous = append(s.batches, b.Raw), b.Hash
		}
		all = append(all, s)
	}
	return all, nil
}

// registry knows the senders.
type registry map[device.ID]device.PublicKey

func registryOf(all []*sender) registry {
	r := registry{}
	for _, s := range all {
		r[s.public.ID()] = s.public
	}
	return r
}

// Key implements ingest.Registry.
func (r registry) Key(_ context.Context, id device.ID) (device.PublicKey, error) {
	k, ok := r[id]
	if !ok {
		return k, ingest.ErrUnknown
	}
	return k, nil
}

func server(dir string, all []*sender) (*ingest.Server, error) {
	return ingest.Open(ingest.Config{Dir: dir, ChainID: chainID, Registry: registryOf(all), Kinds: []sensing.Kind{weather.Kind{}}, Burst: 1 << 30})
}

// ingested hands signed batches in from many goroutines, each waiting for its
// answer.
func ingested(ctx context.Context, set benchtable.Settings, dir string) ([]benchtable.Row, error) {
	const devices, readings = 64, 50
	batches := set.Of(400)
	all, err := senders(devices, batches, readings)
	if err != nil {
		return nil, err
	}
	s, err := server(dir, all)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	var wg sync.WaitGroup
	failed := make(chan error, devices)
	began := time.Now()
	for _, d := range all {
		wg.Go(func() {
			for _, raw := range d.batches {
				if _, err := s.Accept(ctx, raw); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	rate := float64(devices*batches*readings) / took.Seconds()
	return []benchtable.Row{{
		What: "signed readings durable, batches of 50, 64 devices", Unit: "/s", Ours: rate, Target: 100_000,
		Bound: readings * signatures(all[0]), BoundIs: "the batches' signatures alone, on all cores",
	}}, nil
}

// signatures is how many ed25519 signatures all cores check in a second.
func signatures(s *sender) float64 {
	message := s.batches[0]
	signature := ed25519.Sign(s.private, message)
	const each = 4000
	var wg sync.WaitGroup
	began := time.Now()
	for range runtime.NumCPU() {
		wg.Go(func() {
			for range each {
				s.public.Verify(message, signature)
			}
		})
	}
	wg.Wait()
	return float64(each*runtime.NumCPU()) / time.Since(began).Seconds()
}

// together is how many ed25519 signatures all cores check in a second as a gateway
// does that has many to check.
func together(all []*sender) float64 {
	const many, rounds = 256, 8
	var entries []func(*cose.Batch)
	for i := range many {
		s := all[i%len(all)]
		m, err := cose.Parse(s.batches[i/len(all)%len(s.batches)])
		if err != nil {
			panic(err) // it is ours
		}
		signature := ed25519.Sign(s.private, s.batches[0])
		entry := cose.Message{Protected: m.Protected, Signature: signature}
		entries = append(entries, func(b *cose.Batch) { b.Add(&entry, s.public, s.batches[0]) })
	}
	var wg sync.WaitGroup
	began := time.Now()
	for range runtime.NumCPU() {
		wg.Go(func() {
			for range rounds {
				var b cose.Batch
				for _, add := range entries {
					add(&b)
				}
				for _, err := range b.Verify() {
					if err != nil {
						panic(err) // it is signed
					}
				}
			}
		})
	}
	wg.Wait()
	return float64(many*rounds*runtime.NumCPU()) / time.Since(began).Seconds()
}

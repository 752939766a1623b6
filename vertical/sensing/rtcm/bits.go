package rtcm

import "fmt"

// bitReader reads big-endian fields of up to 64 bits. Reading past the end sets
// short and gives 0, so that decoders check once.
type bitReader struct {
	p     []byte
	at    int
	short bool
}

func (b *bitReader) uint(n int) uint64 {
	if b.at+n > 8*len(b.p) {
		b.short = true
		b.at = 8 * len(b.p)
		return 0
	}
	var v uint64
	for n > 0 {
		left := 8 - b.at%8
		take := min(n, left)
		part := b.p[b.at/8] >> (left - take) & (1<<take - 1)
		v = v<<take | uint64(part)
		b.at += take
		n -= take
	}
	return v
}

func (b *bitReader) flag() bool { return b.uint(1) == 1 }

// int reads two's complement.
func (b *bitReader) int(n int) int64 {
	v := b.uint(n)
	return int64(v<<(64-n)) >> (64 - n)
}

// signed reads sign and magnitude, as GLONASS has it.
func (b *bitReader) signed(n int) int64 {
	negative := b.flag()
	v := int64(b.uint(n - 1))
	if negative {
		return -v
	}
	return v
}

func (b *bitReader) text() string {
	n := int(b.uint(8))
	out := make([]byte, 0, min(n, len(b.p)))
	for range n {
		c := byte(b.uint(8))
		if b.short {
			return ""
		}
		out = append(out, c)
	}
	return string(out)
}

// open checks the message number and returns a reader behind it.
func open(f Frame, types ...int) (*bitReader, error) {
	for _, t := range types {
		if f.Type == t {
			b := &bitReader{p: f.Payload}
			b.uint(12)
			return b, nil
		}
	}
	return nil, fmt.Errorf("decode message %d: want one of %v", f.Type, types)
}

func (b *bitReader) err(f Frame) error {
	if b.short {
		return fmt.Errorf("%w: message %d has only %d bytes", ErrMalformed, f.Type, len(f.Payload))
	}
	return nil
}

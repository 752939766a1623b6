package rtcm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Sizes in bytes.
const (
	MaxPayload = 1023
	overhead   = 6 // preamble, length, check
	MaxFrame   = MaxPayload + overhead
	preamble   = 0xD3
)

// Frame is one checked message.
type Frame struct {
	Type    int    // message number, 0..4095
	Payload []byte // the message; its first 12 bits are the number
	Raw     []byte // the whole frame as received
}

// ErrMalformed says that a payload is not what its message number promises.
var ErrMalformed = errors.New("malformed RTCM message")

// Scanner finds frames in a stream. Bytes that belong to no valid frame are
// skipped and counted.
type Scanner struct {
	r       *bufio.Reader
	raw     [MaxFrame]byte
	skipped int64
	broken  int64
	framed  int64
}

// NewScanner returns a scanner that reads r.
func NewScanner(r io.Reader) *Scanner { return &Scanner{r: bufio.NewReaderSize(r, 4*MaxFrame)} }

// Next returns the next frame, or the reader's error; io.EOF also when the
// stream ends inside of a frame. The frame is valid until the next call.
func (s *Scanner) Next() (Frame, error) {
	for {
		b, err := s.r.ReadByte()
		if err != nil {
			return Frame{}, err
		}
		if b != preamble {
			s.skipped++
			continue
		}
		head, err := s.r.Peek(2)
		if err != nil {
			return Frame{}, end(err)
		}
		n := int(head[0]&3)<<8 | int(head[1])
		if head[0]&0xFC != 0 || n < 2 {
			s.skipped++
			continue
		}
		rest, err := s.r.Peek(n + overhead - 1)
		if err != nil {
			if errors.Is(err, io.EOF) && len(rest) > 0 {
				s.skipped++ // a shorter frame may hide behind a false preamble
				continue
			}
			return Frame{}, end(err)
		}
		s.raw[0] = preamble
		copy(s.raw[1:], rest)
		raw := s.raw[:n+overhead]
		if CRC24Q(raw) != 0 {
			s.skipped++
			s.broken++
			continue
		}
		if _, err := s.r.Discard(n + overhead - 1); err != nil {
			return Frame{}, err
		}
		s.framed += int64(len(raw))
		p := raw[3 : 3+n]
		return Frame{Type: int(p[0])<<4 | int(p[1])>>4, Payload: p, Raw: raw}, nil
	}
}

// Skipped returns the bytes that belonged to no frame so far, and how many
// frames had a wrong check.
func (s *Scanner) Skipped() (bytes, broken int64) { return s.skipped, s.broken }

// Offset returns how many bytes of the stream lie behind: frames and what was
// skipped.
func (s *Scanner) Offset() int64 { return s.skipped + s.framed }

// Buffered returns how many bytes were read ahead.
func (s *Scanner) Buffered() int { return s.r.Buffered() }

func end(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// Encode frames a payload of 2 to MaxPayload bytes.
func Encode(payload []byte) ([]byte, error) {
	if len(payload) < 2 || len(payload) > MaxPayload {
		return nil, fmt.Errorf("frame payload: %d bytes, want 2 to %d", len(payload), MaxPayload)
	}
	out := make([]byte, 0, len(payload)+overhead)
	out = append(out, preamble, byte(len(payload)>>8), byte(len(payload)))
	out = append(out, payload...)
	c := CRC24Q(out)
	return append(out, byte(c>>16), byte(c>>8), byte(c)), nil
}

// CRC24Q returns the check of RTCM frames over p; over a whole frame it is 0.
func CRC24Q(p []byte) uint32 {
	var c uint32
	for _, b := range p {
		c = c<<8&0xFFFFFF ^ crcTable[byte(c>>16)^b]
	}
	return c
}

var crcTable = func() (t [256]uint32) {
	const polynomial = 0x1864CFB
	for i := range t {
		c := uint32(i) << 16
		for range 8 {
			c <<= 1
			if c&0x1000000 != 0 {
				c ^= polynomial
			}
		}
		t[i] = c
	}
	return t
}()

package segment

import (
	"encoding/binary"
	"fmt"
)

// Limits of what a footer or a page header may claim.
const (
	maxFooter   = 1 << 20 // bytes
	maxHeader   = 4 << 10 // bytes of a page header
	maxElements = 1 << 15 // of all lists together
	maxDepth    = 16
)

// Types of the Thrift compact protocol.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftI8     = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftStruct = 12
)

// walker reads a value of the Thrift compact protocol only to check that all it
// claims is there.
type walker struct {
	b        []byte
	elements int
}

// structSize is how many bytes the struct at the start of b has.
func structSize(b []byte) (int, error) {
	w := walker{b: b}
	if err := w.fields(0); err != nil {
		return 0, err
	}
	return len(b) - len(w.b), nil
}

func (w *walker) fields(depth int) error {
	for {
		h, err := w.byte()
		if err != nil || h == thriftStop {
			return err
		}
		if h>>4 == 0 {
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if t := h & 15; t != thriftTrue && t != thriftFalse {
			if err := w.value(t, depth); err != nil {
				return err
			}
		}
	}
}

func (w *walker) value(kind byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch kind {
	case thriftTrue, thriftFalse, thriftI8:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.varint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftStruct:
		return w.fields(depth + 1)
	}
	return fmt.Errorf("type %d is not one of Parquet's", kind)
}

func (w *walker) list(depth int) error {
	h, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(h >> 4)
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	if n > uint64(len(w.b)) || n > uint64(maxElements-w.elements) {
		return fmt.Errorf("list of %d elements in %d bytes", n, len(w.b))
	}
	w.elements += int(n)
	for range n {
		if err := w.value(h&15, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) byte() (byte, error) {
	if len(w.b) == 0 {
		return 0, fmt.Errorf("ends early")
	}
	b := w.b[0]
	w.b = w.b[1:]
	return b, nil
}

func (w *walker) varint() (uint64, error) {
	v, n := binary.Uvarint(w.b)
	if n <= 0 {
		return 0, fmt.Errorf("ends early")
	}
	w.b = w.b[n:]
	return v, nil
}

func (w *walker) skip(n uint64) error {
	if n > uint64(len(w.b)) {
		return fmt.Errorf("value of %d bytes, %d are left", n, len(w.b))
	}
	w.b = w.b[n:]
	return nil
}

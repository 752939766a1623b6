package images

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/images/picture"
)

// Errors of Audit.
var (
	// ErrUnlike says that an image is not what its record says. Everybody who has the
	// image finds the same.
	ErrUnlike = errors.New("image is not as its record says")
	// ErrOther is an ErrUnlike that only who read the storage knows of: another file
	// is stored than the record is of.
	ErrOther = fmt.Errorf("%w: it is another file", ErrUnlike)
)

// Audit compares what is stored under a frame's key with its record.
func Audit(f Frame, stored []byte) error {
	if sum := sha256.Sum256(stored); sum != f.SHA256 {
		return fmt.Errorf("%w: %s has %d bytes with SHA-256 %x, the record says %d with %x", ErrOther, f.Key, len(stored), sum[:8], f.Size, f.SHA256[:8])
	}
	return f.unlike(lookAt(stored))
}

// look is what a file shows.
type look struct {
	size int
	seen picture.Seen
	err  error // it is no picture
}

func lookAt(file []byte) look {
	seen, err := picture.Look(file)
	return look{len(file), seen, err}
}

// unlike says in what the record of a file is not true; nil if it is.
func (f Frame) unlike(l look) error {
	switch {
	case l.size != int(f.Size):
		return fmt.Errorf("%w: %s has %d bytes, the record says %d", ErrUnlike, f.Key, l.size, f.Size)
	case l.err != nil:
		return fmt.Errorf("%w: %s: %w", ErrUnlike, f.Key, l.err)
	case !l.seen.Like(f.Seen):
		return fmt.Errorf("%w: %s shows %+v, the record says %+v", ErrUnlike, f.Key, l.seen, f.Seen)
	}
	return nil
}

// looks are what published files show, each looked at once.
type looks map[[sha256.Size]byte]look

// lies counts a station's frames of the window whose files are published and are
// not as the frames say.
func (x looks) lies(w sensing.Window, i int, s sensing.Station) (n int) {
	if len(s.Files) == 0 {
		return 0
	}
	for _, f := range shotsOf(w, i, s) {
		file, published := s.Files[f.SHA256]
		if !published {
			continue
		}
		l, known := x[f.SHA256]
		if !known {
			l = lookAt(file)
			x[f.SHA256] = l
		}
		if f.unlike(l) != nil {
			n++
		}
	}
	return n
}

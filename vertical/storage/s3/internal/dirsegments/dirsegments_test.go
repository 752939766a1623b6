package dirsegments_test

import (
	"testing"

	"github.com/grange-network/grange/vertical/storage/s3"
	"github.com/grange-network/grange/vertical/storage/s3/internal/dirsegments"
	"github.com/grange-network/grange/vertical/storage/s3/segmentstest"
)

func TestContract(t *testing.T) {
	segmentstest.Run(t, func(t *testing.T) s3.Segments {
		s, err := dirsegments.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

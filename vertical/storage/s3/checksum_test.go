package s3

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
	"pgregory.net/rapid"
)

// The checksum, and how a body ends that is whole, cut short, broken or not what
// was announced, are those of the reader that every other algorithm has.
func TestCRC64IsLikeOtherChecksums(t *testing.T) {
	broken := errors.New("broken")
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 4096).Draw(rt, "data")
		end := rapid.SampledFrom([]error{io.EOF, io.ErrUnexpectedEOF, broken}).Draw(rt, "end")
		body := func() io.Reader { return io.MultiReader(bytes.NewReader(data), iotest.ErrReader(end)) }
		read := func(want string) (sums [2]string, errs [2]error) {
			theirs, err := utils.NewHashReader(body(), want, utils.HashTypeCRC64NVME)
			if err != nil {
				rt.Fatal(err)
			}
			ours, err := newSummer(body(), crc64, want)
			if err != nil {
				rt.Fatal(err)
			}
			for i, r := range []summer{theirs, ours} {
				got, err := io.ReadAll(r)
				if !bytes.Equal(got, data) {
					rt.Fatalf("reader %d gave %d of %d bytes", i, len(got), len(data))
				}
				sums[i], errs[i] = r.Sum(), err
			}
			return sums, errs
		}
		sums, _ := read("")
		if sums[0] != sums[1] {
			rt.Fatalf("checksum %s, want %s", sums[1], sums[0])
		}
		for _, want := range []string{"", sums[0], "AAAAAAAAAAE="} {
			_, errs := read(want)
			var a, b s3err.S3Error
			if errors.As(errs[0], &a) != errors.As(errs[1], &b) || (a == nil && !errors.Is(errs[1], errs[0])) {
				rt.Fatalf("ends with %v, want %v", errs[1], errs[0])
			}
		}
	})
}

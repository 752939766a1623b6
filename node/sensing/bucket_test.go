package sensing

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/http/httptest"
	"testing"
)

// What is stored comes back by the key of its record; what cannot be the record's
// image is told from a storage that does not answer.
func TestPictures(t *testing.T) {
	store := &shelf{kept: map[string][]byte{}}
	door := httptest.NewServer(store)
	defer door.Close()
	b := Bucket{URL: door.URL, Name: "street", Region: "us-east-1", AccessKey: "id", SecretKey: "secret"}
	file := bytes.Repeat([]byte("picture"), 100)
	const odd = "a b/c+d?e#f%41&é.jpg"
	if err := b.put(t.Context(), odd, file, sha256.Sum256(file)); err != nil {
		t.Fatal(err)
	}
	store.kept["private/letter"] = []byte("x")
	stranger, away := b, b
	stranger.AccessKey, away.URL = "nobody", "http://127.0.0.1:1"
	for _, tt := range []struct {
		name  string
		from  Bucket
		key   string
		limit int64
		want  []byte
		none  bool // ErrNoImage
	}{
		{"as it was stored", b, "street/" + odd, int64(len(file)), file, false},
		{"longer than its record", b, "street/" + odd, int64(len(file)) - 1, nil, true},
		{"not there", b, "street/b", 10, nil, true},
		{"of another bucket", b, "private/letter", 10, nil, true},
		{"by a way around", b, "street/../private/letter", 10, nil, true},
		{"a bucket", b, "street/", 10, nil, true},
		{"without the right", stranger, "street/" + odd, 1000, nil, false},
		{"of a storage that is away", away, "street/" + odd, 1000, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.from.Get(t.Context(), tt.key, tt.limit)
			if !bytes.Equal(got, tt.want) || (err == nil) != (tt.want != nil) || errors.Is(err, ErrNoImage) != tt.none {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

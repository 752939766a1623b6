package catalog

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

// vectors are records whose encoding must never change without a new kind byte.
var vectors = []struct {
	name   string
	record any
}{
	{"blob-inline", &Blob{Refs: 1, Size: 3, Place: Inline, Data: []byte("abc")}},
	{"blob-journaled", &Blob{Refs: 2, Size: 70000, Place: Journaled, File: 7, Offset: 16}},
	{"blob-packed", &Blob{Refs: 1, Size: 9, Place: Packed, Pack: SegmentID{1, 2, 3}, Offset: 300}},
	{"blob-segmented", &Blob{Refs: 1, Size: 30, Place: Segmented, Segments: []Segment{{SegmentID{4}, 10}, {SegmentID{5}, 20}}}},
	{"object-plain", &Object{Size: 3, Modified: at, ETag: "900150983cd24fb0d6963f7d28e17f72", Extents: []Extent{{1, 0, 3}},
		Checksum: Checksum{"CRC64NVME", "FULL_OBJECT", "AAAAAAAAAAA="}}},
	{"object-full", &Object{
		Size: 12, Modified: at, ETag: "e-2", Version: "0123", Metadata: map[string]string{"b": "2", "a": ""},
		Headers: Headers{ContentType: "t", ContentEncoding: "e", ContentDisposition: "d", ContentLanguage: "l",
			CacheControl: "c", Expires: "x", WebsiteRedirect: "/r"},
		Tags: map[string]string{}, Extents: []Extent{{1, 2, 3}, {9, 0, 9}}, UploadID: "u",
		Parts: []ObjectPart{{1, 3, "s"}, {4, 9, ""}}, Lock: Lock{"r", "ON"},
	}},
	{"object-marker", &Object{Modified: at, Version: "v", DeleteMarker: true}},
	{"upload", &Upload{Key: "k", Initiated: at, Tags: map[string]string{"t": "1"}, Checksum: Checksum{Algorithm: "SHA256", Type: "COMPOSITE"}, Lock: Lock{"r", "OFF"}}},
	{"part", &Part{Size: 5, Modified: at, ETag: "p", Checksum: Checksum{Algorithm: "SHA256", Value: "v"}, CRC64: "c", Extents: []Extent{{3, 0, 5}}}},
	{"pack", &Pack{Size: 100, Live: 60, Blobs: 2}},
}

func encodeAny(v any) []byte {
	switch v := v.(type) {
	case *Blob:
		return encodeBlob(v)
	case *Object:
		return encodeObject(v)
	case *Upload:
		return encodeUpload(v)
	case *Part:
		return encodePart(v)
	case *Pack:
		return encodePack(v)
	}
	panic("unknown record")
}

func decodeAny(b []byte) (any, error) {
	if len(b) == 0 {
		return nil, errRecord
	}
	switch b[0] {
	case kindBlob:
		return decodeBlob(b)
	case kindObject:
		return decodeObject(b)
	case kindUpload:
		return decodeUpload(b)
	case kindPart:
		return decodePart(b)
	case kindPack:
		return decodePack(b)
	}
	return nil, errRecord
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			file := filepath.Join("testdata", v.name+".hex")
			got := []byte(hex.EncodeToString(encodeAny(v.record)) + "\n")
			if os.Getenv("UPDATE_VECTORS") != "" {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("encoded %s, want %s", got, want)
			}
			raw, err := hex.DecodeString(string(bytes.TrimSpace(want)))
			if err != nil {
				t.Fatal(err)
			}
			back, err := decodeAny(raw)
			if err != nil || !reflect.DeepEqual(back, v.record) {
				t.Fatalf("decoded %+v, %v; want %+v", back, err, v.record)
			}
			for n := range raw {
				if _, err := decodeAny(raw[:n]); err == nil {
					t.Fatalf("the first %d of %d bytes are taken for a record", n, len(raw))
				}
			}
			if _, err := decodeAny(append(raw, 0)); err == nil {
				t.Fatal("a record with a byte too many is taken")
			}
		})
	}
}

// Whatever is decoded encodes to something that decodes to the same.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		f.Add(encodeAny(v.record))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decodeAny(b)
		if err != nil {
			return
		}
		again, err := decodeAny(encodeAny(v))
		if err != nil || !reflect.DeepEqual(v, again) {
			t.Fatalf("%x: %+v came back as %+v, %v", b, v, again, err)
		}
	})
}

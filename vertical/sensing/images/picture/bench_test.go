package picture

import (
	"testing"

	"github.com/grange-network/grange/vertical/sensing/images/scene"
)

// BenchmarkPrepare blurs, encodes and hashes a picture of 2 and of 8 million
// pixels.
func BenchmarkPrepare(b *testing.B) {
	for name, size := range map[string][2]int{"2MP": {1920, 1080}, "8MP": {3840, 2160}} {
		img, _ := scene.New(1).View(0, size[0], size[1])
		file := scene.JPEG(img, 90)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Prepare(file, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

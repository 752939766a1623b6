package picture

import (
	_ "embed"
	"image"
	"sync"

	pigo "github.com/esimov/pigo/core"
)

//go:embed facefinder
var cascade []byte

// Parameters of the search for faces.
const (
	leastFace  = 20 // pixels
	shift      = 0.1
	scale      = 1.1
	overlap    = 0.2
	leastScore = 5 // what pigo's own program takes for a face
)

var finder = sync.OnceValue(func() *pigo.Pigo {
	p, err := pigo.NewPigo().Unpack(cascade)
	if err != nil {
		panic(err) // the file is part of the program
	}
	return p
})

// faces finds upright faces.
func faces(g *image.Gray) []image.Rectangle {
	size := g.Bounds().Size()
	found := finder().RunCascade(pigo.CascadeParams{
		MinSize: leastFace, MaxSize: min(size.X, size.Y), ShiftFactor: shift, ScaleFactor: scale,
		ImageParams: pigo.ImageParams{Pixels: g.Pix, Rows: size.Y, Cols: size.X, Dim: g.Stride},
	}, 0)
	var out []image.Rectangle
	for _, d := range finder().ClusterDetections(found, overlap) {
		if d.Q >= leastScore {
			half := d.Scale * 6 / 10 // a little more than the face
			out = append(out, image.Rect(d.Col-half, d.Row-half, d.Col+half, d.Row+half).Intersect(g.Bounds()))
		}
	}
	return out
}

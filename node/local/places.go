package local

import "github.com/grange-network/grange/h3"

// place is where a provider of a local network says it is, in degrees.
type place struct{ latitude, longitude float64 }

// places are made up, as the network is on one machine: they give its map
// something to show. The first three lie in one cell of resolution 5, so that
// one cell has as many owners as the explorer wants before it tells of a cell.
var places = []place{
	{52.5200, 13.4050},  // Berlin
	{52.5250, 13.3690},  // Berlin
	{52.5400, 13.4000},  // Berlin
	{38.7223, -9.1393},  // Lisbon
	{-1.2921, 36.8219},  // Nairobi
	{-23.5505, -46.633}, // São Paulo
	{43.6532, -79.3832}, // Toronto
	{35.6762, 139.6503}, // Tokyo
	{-33.8688, 151.209}, // Sydney
	{12.9716, 77.5946},  // Bengaluru
	{39.7392, -104.990}, // Denver
	{59.9139, 10.7522},  // Oslo
}

// placeOf is the cell of the i-th provider, counted from 0, at the resolution
// that the explorer publishes.
func placeOf(i int) uint64 {
	p := places[i%len(places)]
	return uint64(h3.At(p.latitude, p.longitude, h3.PublishedResolution))
}

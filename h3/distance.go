package h3

import "math"

// earthRadius in metres of a sphere with the Earth's volume.
const earthRadius = 6_371_000

// Distance is the great-circle distance in metres between two places in degrees,
// on a sphere (haversine formula); NaN where a place is.
func Distance(latA, lonA, latB, lonB float64) float64 {
	const rad = math.Pi / 180
	sLat, sLon := math.Sin(float64((latB-latA)*rad)/2), math.Sin(float64((lonB-lonA)*rad)/2)
	cos := float64(math.Cos(float64(latA*rad)) * math.Cos(float64(latB*rad)))
	h := float64(sLat*sLat) + float64(cos*float64(sLon*sLon))
	return float64(2*earthRadius) * math.Asin(math.Sqrt(min(1, h)))
}

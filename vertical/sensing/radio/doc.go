// Package radio is the kind of radio scans from phones: cell towers and Wi-Fi
// access points with their signal strengths, in the body of Ichnaea's geosubmit
// version 2.
//
// Scans are cleaned before they are signed (Clean): addresses of access points are
// hashed with the network's salt, those whose owner does not want to be mapped or
// that change at random are left out, as is everything that could name the phone.
// A payload with more in it is refused. The salt is public, so hashing keeps an
// address from being read, not from being tried by one who knows it.
//
// Coverage makes the map of who receives which operator how well; Station is
// Ichnaea's model of where a transmitter is seen.
package radio

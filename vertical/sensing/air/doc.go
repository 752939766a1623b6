// Package air is the kind of air quality stations: particulate matter and gases
// with temperature and humidity. It judges a station by its own series, by its
// second channel, by its neighbours and by whether it stands outdoors, and shares
// each pixel among leads and backups.
//
// It has the published corrections and indices for whoever reads the data: EPA's
// correction of low-cost particle sensors (Correct), the air quality index
// (Index) and NowCast. Scores are made of what was measured, uncorrected.
package air

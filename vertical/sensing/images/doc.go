// Package images is the kind of street images: what a frame's record says, and
// what a week of frames is worth.
//
// The images lie in storage; a batch holds records with the hash of what is
// stored. Weigh judges records: tracks, pictures used twice, light against the
// sun, the freshness of small cells, and whether somebody else was there. It
// sees an image only when one is published that is not as its record says. Audit
// compares an image with its record, for whoever reads it.
// Packages exif and picture make records out of files.
package images

// Package picture makes a street image fit to be shown and to be compared: faces
// and licence plates are blurred, all metadata is left behind, and what is stored
// has a hash that survives another compression.
//
// Faces are found by pigo with its own classifier (the file facefinder, MIT, from
// github.com/esimov/pigo v1.4.6). Plates are found as upright bright bands with
// the strokes of letters in them; that is a rule of thumb, not a trained
// detector. Neither finds everything.
package picture

// Package exif reads from a JPEG when and where it was taken and which way the
// camera looked: the few tags of EXIF 2.32 and its GPS block that say so. It
// writes such a block too, for tests. It reads no thumbnails, maker notes or
// other tags.
package exif

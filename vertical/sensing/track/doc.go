// Package track tells tracks that a vehicle or a walker can make from those that
// were made up: places too far apart, changes of speed that no vehicle survives,
// a camera that does not keep its angle to the motion, lines drawn with a ruler.
//
// It judges one device's points by themselves. Whether somebody else was there
// too is for the kinds of observation to say.
package track

package facts

// OfOne sets how many batches of one device count, until the function that it
// returns is called.
func OfOne(batches int) (reset func()) {
	before := mostOfOne
	mostOfOne = batches
	return func() { mostOfOne = before }
}

package project

// chance is a number of one run, month and purpose: 64 bits of splitmix64 over
// a counter (Steele, Lea, Flood 2014), so that no number depends on how many
// were drawn before it.
func chance(seed, run, month, purpose, draw uint64) uint64 {
	z := seed
	for _, part := range [4]uint64{run, month, purpose, draw} {
		z = mix(z + 0x9e3779b97f4a7c15 + part*0xd1342543de82ef95)
	}
	return z
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// deviation is about normal with mean 0 and standard deviation one million: the
// sum of twelve uniform numbers, less six.
func deviation(seed, run, month, purpose uint64) PPM {
	sum := int64(0)
	for i := range uint64(12) {
		sum += int64(chance(seed, run, month, purpose, i) >> 32 * million >> 32)
	}
	return PPM(sum - 6*million)
}

// strikes reports whether something of the given probability happens.
func strikes(p PPM, seed, run, month, purpose uint64) bool {
	return int64(chance(seed, run, month, purpose, 0)>>32*million>>32) < int64(p)
}

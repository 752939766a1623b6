// Package conformance is the test that every vertical passes. A vertical's own
// test hands Run an epoch that its devices could have had, and the suite scores
// it in all the ways that must not matter and some that must not pay.
//
//	func TestConformance(t *testing.T) { conformance.Run(t, Vertical{}, world, decoders...) }
//
// What the suite asks for:
//
//   - the order of rows, segments and usage, and rows that come twice, change nothing;
//   - without evidence nobody has a weight;
//   - one who splits a device into several never earns more;
//   - rewards stay within pool and grant, and those for usage within the rebate of
//     what it burned;
//   - each weight is explained by named terms;
//   - rows of junk, and true rows with a field changed, raise nobody's weight and
//     never make Score fail;
//   - decoders survive any bytes.
//
// It does not test providers and gateways.
package conformance

// Package strictcbor makes CBOR modes that know one encoding of everything: no
// indefinite lengths, no map key twice, no text that is not UTF-8. Its Reader is a
// quicker way to read what devices usually send.
package strictcbor

import "github.com/fxamacker/cbor/v2"

// Decoder is a mode with the strict options beside the given ones, which are
// constants: wrong ones are a mistake of the program.
func Decoder(o cbor.DecOptions) cbor.DecMode {
	o.DupMapKey, o.IndefLength, o.UTF8 = cbor.DupMapKeyEnforcedAPF, cbor.IndefLengthForbidden, cbor.UTF8RejectInvalid
	m, err := o.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}

// Encoder is the mode of options that are constants.
func Encoder(o cbor.EncOptions) cbor.EncMode {
	m, err := o.EncMode()
	if err != nil {
		panic(err)
	}
	return m
}

package receipt

// Window returns how many units the provider is expected to serve beyond the
// newest receipt it has honoured: a payer keeps what is under way and unsigned
// within it.
func (p *Payer) Window() uint64 { return p.trust.size }

package key

func init() { sealWork = 10 } // tests need no protection

package beacon

// What this package produces for the seed "aaaa…" (32 bytes) on grange-local-1:
// reveal of epoch 7, possession for "validator", and the seeds that follow.
const (
	vectorPublic     = "87ce86dfdd8a3e41d6639eab0e41cc939ae26c93c259a27d797afbe03220ee029b8fa00dd8ddfa188c6a9dae78a9bc1215ce140ebde8667fb0077dee791d8cdc7374ea437cbca023e02d8679511623f8883ab6ff4c1d4f44bd07c9bb5c25430f"
	vectorReveal     = "b6aacad1a11203e5730a1a29c19e9253982f18cdeec71479987a549ef97bbc9a4298906c1d1c913d6da0207f6739de0c"
	vectorPossession = "a8d5429ff022b75c47b36b669c0330a86d85adcbe4f972d9b6bbe7e56fc4a31018e5952c4017ca8e9834ca324db4854f"
	vectorGenesis    = "bffe3bc23d4af099018fd88a81565fdcacb038713fa52188d099b2f8ef959633"
	vectorNext       = "b1450bfce0e97ede179247eec4ce81124ec1b0ba380d469dc94f00a60c5d7cae"
	vectorNeutral    = "f880f07294f525c9081f87acd495260443d81042f9be90ac1b5ac3f99f32dd10"
)

package live

import "testing"

func TestParseRound(t *testing.T) {
	c, err := parseRound([]byte(`{"height/round/step":"27/1/6","start_time":"2026-11-22T21:33:54Z","proposer":{"address":"C208"},
		"height_vote_set":[{"round":0,"prevotes_bit_array":"BA{1:_} 0/10 = 0.00","precommits_bit_array":"x"},{"round":1,"prevotes_bit_array":"BA{1:x} 10/10 = 1.00","precommits_bit_array":"BA{2:x_} 5/10 = 0.50"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Height != 27 || c.Round != 1 || c.Step != "precommit" || *c.Proposer != "c208" || *c.Prevotes != 100 || *c.Precommits != 50 || c.Started == nil {
		t.Errorf("%+v", c)
	}
	for _, bad := range []string{``, `{}`, `{"height/round/step":"x"}`} {
		if _, err := parseRound([]byte(bad)); err == nil {
			t.Errorf("%q is read as a round", bad)
		}
	}
}

func FuzzParseRound(f *testing.F) {
	f.Add([]byte(`{"height/round/step":"1/0/1"}`))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseRound(b) })
}

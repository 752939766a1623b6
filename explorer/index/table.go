package index

// table caches rows of one table and remembers which were changed.
type table[K comparable, R any] struct {
	rows  map[K]*R
	dirty map[K]*R
}

// maxCached bounds the rows kept between batches.
const maxCached = 200_000

func newTable[K comparable, R any]() table[K, R] {
	return table[K, R]{rows: map[K]*R{}, dirty: map[K]*R{}}
}

// find returns the row of a key, loaded if need be; nil when there is none.
func (t *table[K, R]) find(key K, load func(K) (*R, error)) (*R, error) {
	if r, ok := t.rows[key]; ok {
		return r, nil
	}
	r, err := load(key)
	if err != nil || r == nil {
		return nil, err
	}
	t.rows[key] = r
	return r, nil
}

// change is find for a row that the caller will write to; it makes one that is
// missing.
func (t *table[K, R]) change(key K, load func(K) (*R, error), make func() *R) (*R, error) {
	r, err := t.find(key, load)
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = make()
		t.rows[key] = r
	}
	t.dirty[key] = r
	return r, nil
}

// written forgets what was changed, after it is in the file.
func (t *table[K, R]) written() {
	clear(t.dirty)
	if len(t.rows) > maxCached {
		clear(t.rows)
	}
}

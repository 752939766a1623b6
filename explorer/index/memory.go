package index

// PageOf pages a list that is in memory; its cursor is a place in it.
func PageOf[T any](items []T, p Page, height int64) (List[T], error) {
	out := List[T]{Items: []T{}, Height: height}
	at := int64(0)
	if p.After != "" {
		words, err := openCursor(p.After, 1)
		if err != nil {
			return out, err
		}
		at = max(0, min(words[0], int64(len(items))))
	}
	limit := int64(p.Limit)
	if limit == 0 {
		limit = DefaultLimit
	}
	end := min(at+limit, int64(len(items)))
	out.Items = append(out.Items, items[at:end]...)
	if end < int64(len(items)) {
		out.Next = cursor(end)
	}
	return out, nil
}

package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/grange-network/grange/explorer/index"
)

// tabular is an answer that can be written as rows.
type tabular interface {
	// table returns the rows and where the next page begins.
	table() (rows []any, next *string)
}

// page is a list of anything.
type page[T any] struct{ index.List[T] }

func (p page[T]) table() ([]any, *string) {
	rows := make([]any, len(p.Items))
	for i := range p.Items {
		rows[i] = p.Items[i]
	}
	return rows, p.Next
}

// all is a list that has one page.
func all[T any](items []T, height int64) page[T] {
	if items == nil {
		items = []T{}
	}
	return page[T]{index.List[T]{Items: items, Height: height}}
}

func writeLines(w io.Writer, rows []any) error {
	enc := json.NewEncoder(w)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// writeCSV writes rows as a spreadsheet reads them: the columns are the fields of
// their JSON in order, a list of texts is one text, what else is nested stays JSON, null is
// empty.
func writeCSV(w io.Writer, rows []any) error {
	out := csv.NewWriter(w)
	for i, r := range rows {
		names, values, err := flat(r)
		if err != nil {
			return err
		}
		if i == 0 {
			if err := out.Write(names); err != nil {
				return err
			}
		}
		if err := out.Write(values); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func flat(row any) (names, values []string, err error) {
	raw, err := json.Marshal(row)
	if err != nil {
		return nil, nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, fmt.Errorf("write row: %T is not an object", row)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, nil, err
		}
		names = append(names, fmt.Sprint(name))
		values = append(values, field(value))
	}
	return names, values, nil
}

func field(value json.RawMessage) string {
	var text string
	var list []string
	switch {
	case string(value) == "null":
		return ""
	case json.Unmarshal(value, &text) == nil:
		return inert(text)
	case json.Unmarshal(value, &list) == nil:
		return inert(strings.Join(list, "; "))
	}
	return inert(string(value))
}

// inert keeps a spreadsheet from running what somebody else wrote: a cell that
// would be a formula gets an apostrophe. Plain numbers stay numbers.
func inert(s string) string {
	if s == "" || !strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return s
	}
	if s[0] == '-' && len(s) > 1 && strings.Trim(s[1:], "0123456789.") == "" {
		return s
	}
	return "'" + s
}

package simulation

import (
	"bytes"
	"reflect"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/gogoproto/proto"
)

// mutate changes one field of a copy of a message, however deep: what the ledger
// makes of it is up to the ledger, as long as everything still adds up.
func (w *world) mutate(msg sdk.Msg) sdk.Msg {
	raw, err := proto.Marshal(msg)
	w.must(err)
	out := reflect.New(reflect.TypeOf(msg).Elem()).Interface().(sdk.Msg) // proto.Clone does not know all types of the SDK
	w.must(proto.Unmarshal(raw, out))
	var fields []reflect.Value
	collect(reflect.ValueOf(out).Elem(), &fields)
	if f, ok := pick(w, fields); ok {
		w.change(f)
	}
	return out
}

func collect(v reflect.Value, into *[]reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), into)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				collect(v.Field(i), into)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				collect(v.Index(i), into)
			}
		}
		*into = append(*into, v)
	case reflect.Uint64, reflect.Uint32, reflect.Int32, reflect.Int64, reflect.String, reflect.Bool:
		*into = append(*into, v)
	}
}

func (w *world) change(v reflect.Value) {
	edges := []uint64{0, 1, 2, 1 << 31, 1<<32 - 1, 1 << 53, 1<<63 - 1, 1 << 63, ^uint64(0)}
	n, _ := pick(w, edges)
	if w.chance(40) {
		n = w.rng.Uint64N(2_000)
	}
	switch v.Kind() {
	case reflect.Uint64, reflect.Uint32:
		v.SetUint(n)
	case reflect.Int64, reflect.Int32:
		v.SetInt(int64(n))
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		texts := []string{"", "x", w.someone().address, w.validators[0].operator(), "storage", string(bytes.Repeat([]byte("a"), 2000))}
		text, _ := pick(w, texts)
		v.SetString(text)
	case reflect.Slice:
		w.changeSlice(v)
	}
}

func (w *world) changeSlice(v reflect.Value) {
	if v.Len() == 0 {
		return
	}
	switch w.rng.IntN(3) {
	case 0:
		v.Set(v.Slice(0, v.Len()-1))
	case 1: // the first once more
		v.Set(reflect.Append(v, v.Index(0)))
	default:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			raw := bytes.Clone(v.Bytes())
			raw[w.rng.IntN(len(raw))] ^= 1 << w.rng.IntN(8)
			v.SetBytes(raw)
		} else {
			v.SetZero()
		}
	}
}

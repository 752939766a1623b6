package main

import (
	"reflect"
	"testing"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/verify"
	"github.com/grange-network/grange/vertical"
)

func TestWeightsOfAPart(t *testing.T) {
	part := func(name string, terms ...uint64) vertical.Part {
		p := vertical.Part{Name: name}
		for _, v := range terms {
			p.Terms = append(p.Terms, vertical.Term{Name: "term", Value: v})
		}
		return p
	}
	munich, berlin := h3.At(48.1371, 11.5754, 8), h3.At(52.52, 13.405, 8)
	device := func(hex string, cell h3.Cell) verify.PublishedDevice {
		return verify.PublishedDevice{Hex: hex, Registered: true, Device: vertical.Device{Cell: uint64(cell)}}
	}
	p := verify.Published{
		Evidence: &verify.PublishedEvidence{Devices: []verify.PublishedDevice{device("a", munich), device("b", berlin), device("c", 0), device("d", munich.Parent(3))}},
		Usage: []verify.PublishedUse{
			{Device: "a", Parts: []vertical.Part{part("weather", 1000, 12), part("air", 500), part("air", 7)}},
			{Device: "b", Parts: []vertical.Part{part("weather", 3)}},
			{Device: "c", Parts: []vertical.Part{part("radio", 40), part("radio, 12 scans refused", 0)}},
			{Device: "d", Parts: []vertical.Part{part("events refused", 0)}},
		},
	}
	a, b := munich.String(), berlin.String()
	all := []partWeight{{"a", a, "weather", 12000}, {"a", a, "air", 507}, {"b", b, "weather", 3}, {"c", "", "radio", 40}, {"d", munich.Parent(3).String(), "events", 0}}
	for _, tt := range []struct {
		name string
		part partOf
		want []partWeight
	}{
		{"all", partOf{}, all},
		{"a kind", partOf{Kind: "weather"}, []partWeight{all[0], all[2]}},
		{"a kind with what is refused", partOf{Kind: "radio"}, []partWeight{all[3]}},
		{"a cell", partOf{Cell: munich}, all[:2]},
		{"a wide cell", partOf{Cell: munich.Parent(3)}, []partWeight{all[0], all[1], all[4]}},
		{"a kind in a cell", partOf{"air", munich.Parent(5)}, []partWeight{all[1]}},
		{"nothing", partOf{"noise", munich}, []partWeight{}},
	} {
		if got, err := tt.part.weights(p); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

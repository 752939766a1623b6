package query

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// answer is what a query found: rows or sums.
type answer struct {
	store.Query
	how    *how
	rows   []reading
	sums   []*sum
	proofs map[sensing.Hash]*Proof
	note   string // why it is empty
}

func (a *answer) write(w http.ResponseWriter, as string) error {
	w.Header().Set("Content-Type", mediaTypes[as])
	named(w, as, a.Cell, a.From)
	// What has begun cannot become an error any more; the client may be gone.
	switch as {
	case "geojson":
		_ = a.geoJSON(w)
	case "csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		_ = a.csv(w)
	case "parquet":
		_ = a.parquet(w)
	default:
		_ = json.NewEncoder(w).Encode(a.json())
	}
	return nil
}

// named gives what a browser saves a name that says what it is.
func named(w http.ResponseWriter, as string, cell h3.Cell, from time.Time) {
	if as == "csv" || as == "parquet" {
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "grange-"+cell.String()+"-"+from.UTC().Format("20060102T1504Z")+"."+as))
	}
}

// Observation is a row in JSON.
type Observation struct {
	Kind     string    `json:"kind"`
	Device   string    `json:"device"`
	Time     time.Time `json:"time"`
	Cell     string    `json:"cell"`
	Lat      float64   `json:"lat"`
	Lon      float64   `json:"lon"`
	Alt      *float64  `json:"alt,omitempty"` // metres
	Variable string    `json:"variable"`
	Value    float64   `json:"value"`
	Unit     string    `json:"unit"`
	QC       uint32    `json:"qc"`
	Batch    string    `json:"batch"` // hash
	Counter  uint64    `json:"counter"`
}

func observation(kind string, r *store.Row) Observation {
	o := Observation{
		Kind: kind, Device: r.ID().String(), Time: time.UnixMilli(r.Time).UTC(), Cell: h3.Cell(r.Cell).String(), Lat: r.Lat, Lon: r.Lon,
		Variable: r.Variable, Value: r.Value, Unit: r.Unit, QC: r.QC, Batch: hex.EncodeToString(r.Batch[:]), Counter: r.Counter,
	}
	if !math.IsNaN(r.Alt) {
		o.Alt = &r.Alt
	}
	return o
}

// Sum is an aggregate in JSON.
type Sum struct {
	Kind     string    `json:"kind"`
	Cell     string    `json:"cell"`
	Time     time.Time `json:"time"`
	Variable string    `json:"variable"`
	Value    float64   `json:"value"`
	Unit     string    `json:"unit"`
	Rows     uint64    `json:"rows"`
	Devices  int       `json:"devices"`
}

func (a *answer) sum(s *sum) Sum {
	return Sum{s.Kind, a.Cell.String(), time.UnixMilli(s.Time).UTC(), s.Variable, s.value(a.how.name), s.unit(a.how.name), s.Rows, len(s.Devices)}
}

// Answer is an answer in JSON.
type Answer struct {
	Cell         string            `json:"cell"`
	From         time.Time         `json:"from"`
	To           time.Time         `json:"to"`
	Observations []Observation     `json:"observations,omitzero"` // of an answer with single readings; none is []
	Sums         []Sum             `json:"sums,omitzero"`         // of one with agg=
	Note         string            `json:"note,omitempty"`        // why there is nothing
	Proofs       map[string]*Proof `json:"proofs,omitempty"`      // by batch
}

func (a *answer) json() Answer {
	out := Answer{Cell: a.Cell.String(), From: a.From, To: a.To, Note: a.note}
	if a.how == nil {
		out.Observations = make([]Observation, 0, len(a.rows))
	} else {
		out.Sums = make([]Sum, 0, len(a.sums))
	}
	for i := range a.rows {
		out.Observations = append(out.Observations, observation(a.rows[i].kind, &a.rows[i].Row))
	}
	for _, s := range a.sums {
		out.Sums = append(out.Sums, a.sum(s))
	}
	for hash, p := range a.proofs {
		if out.Proofs == nil {
			out.Proofs = map[string]*Proof{}
		}
		out.Proofs[hex.EncodeToString(hash[:])] = p
	}
	return out
}

// feature is one of GeoJSON (RFC 7946).
type feature struct {
	Type       string `json:"type"`
	Geometry   any    `json:"geometry"`
	Properties any    `json:"properties"`
}

type geometry struct {
	Type        string `json:"type"`
	Coordinates any    `json:"coordinates"`
}

func point(lat, lon, alt float64) geometry {
	if math.IsNaN(alt) {
		return geometry{"Point", []float64{lon, lat}}
	}
	return geometry{"Point", []float64{lon, lat, alt}}
}

func hexagon(c h3.Cell) geometry { return geometry{"Polygon", [][][2]float64{ring(c)}} }

func (a *answer) geoJSON(w io.Writer) error {
	features := []feature{}
	for i := range a.rows {
		r := &a.rows[i]
		features = append(features, feature{"Feature", point(r.Lat, r.Lon, r.Alt), observation(r.kind, &r.Row)})
	}
	for _, s := range a.sums {
		features = append(features, feature{"Feature", hexagon(a.Cell), a.sum(s)})
	}
	return json.NewEncoder(w).Encode(map[string]any{"type": "FeatureCollection", "features": features})
}

// plain keeps a spreadsheet from running what a device named itself or its units.
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func (a *answer) csv(w io.Writer) error {
	c := csv.NewWriter(w)
	if a.how != nil {
		_ = c.Write([]string{"kind", "cell", "time", "variable", "value", "unit", "rows", "devices"})
		for _, s := range a.sums {
			o := a.sum(s)
			_ = c.Write([]string{o.Kind, o.Cell, o.Time.Format(time.RFC3339), plain(o.Variable), number(o.Value), plain(o.Unit), strconv.FormatUint(o.Rows, 10), strconv.Itoa(o.Devices)})
		}
	} else {
		_ = c.Write([]string{"kind", "device", "time", "cell", "lat", "lon", "alt", "variable", "value", "unit", "qc", "batch", "counter"})
		for i := range a.rows {
			o := observation(a.rows[i].kind, &a.rows[i].Row)
			alt := ""
			if o.Alt != nil {
				alt = number(*o.Alt)
			}
			_ = c.Write([]string{
				o.Kind, o.Device, o.Time.Format(time.RFC3339Nano), o.Cell, number(o.Lat), number(o.Lon), alt, plain(o.Variable), number(o.Value), plain(o.Unit),
				strconv.FormatUint(uint64(o.QC), 10), o.Batch, strconv.FormatUint(o.Counter, 10),
			})
		}
	}
	c.Flush()
	return c.Error()
}

// kindRow is a row in Parquet, of answers that may be of more than one kind.
type kindRow struct {
	Kind string `parquet:"kind,dict"`
	store.Row
}

// sumRow is an aggregate in Parquet.
type sumRow struct {
	Kind     string  `parquet:"kind,dict"`
	Cell     uint64  `parquet:"cell,dict"`
	Time     int64   `parquet:"time,timestamp"`
	Variable string  `parquet:"variable,dict"`
	Value    float64 `parquet:"value"`
	Unit     string  `parquet:"unit,dict"`
	Rows     uint64  `parquet:"rows"`
	Devices  int64   `parquet:"devices"`
}

// options of a file: it says what was asked for.
func (a *answer) options() []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(&parquet.Zstd), parquet.KeyValueMetadata("grange.cell", a.Cell.String()),
		parquet.KeyValueMetadata("grange.from", a.From.Format(time.RFC3339)), parquet.KeyValueMetadata("grange.to", a.To.Format(time.RFC3339)),
	}
}

func (a *answer) parquet(w io.Writer) error {
	if a.how != nil {
		p := parquet.NewGenericWriter[sumRow](w, a.options()...)
		for _, s := range a.sums {
			row := sumRow{s.Kind, uint64(a.Cell), s.Time, s.Variable, s.value(a.how.name), s.unit(a.how.name), s.Rows, int64(len(s.Devices))}
			if _, err := p.Write([]sumRow{row}); err != nil {
				return err
			}
		}
		return p.Close()
	}
	p := parquet.NewGenericWriter[kindRow](w, a.options()...)
	for i := range a.rows {
		if _, err := p.Write([]kindRow{{a.rows[i].kind, a.rows[i].Row}}); err != nil {
			return err
		}
	}
	return p.Close()
}

// parseDevice reads a device's id.
func parseDevice(text string) (device.ID, error) {
	id, err := device.ParseID(text)
	if err != nil {
		return id, bad("device %.80q: %v", text, err)
	}
	return id, nil
}

// csv has a column for each of the product's numbers.
func (a told) csv(w io.Writer) error {
	c := csv.NewWriter(w)
	head := []string{"cell", "time", "of"}
	for _, m := range a.Product.Values {
		head = append(head, m.Name)
	}
	_ = c.Write(append(head, "devices")) // errors stay in c
	for i := range a.found {
		f := &a.found[i]
		line := []string{f.Cell.String(), f.Time.Format(time.RFC3339), plain(f.Of)}
		for _, v := range f.Values {
			text := number(v)
			if math.IsNaN(v) {
				text = ""
			}
			line = append(line, text)
		}
		_ = c.Write(append(line, strconv.Itoa(len(f.Devices))))
	}
	c.Flush()
	return c.Error()
}

// factRow is one number of a fact in Parquet.
type factRow struct {
	Product string  `parquet:"product,dict"`
	Cell    uint64  `parquet:"cell,dict"`
	Time    int64   `parquet:"time,timestamp"`
	Of      string  `parquet:"of,dict"`
	Name    string  `parquet:"name,dict"`
	Value   float64 `parquet:"value"`
	Unit    string  `parquet:"unit,dict"`
	Devices int64   `parquet:"devices"`
}

func (a told) parquet(w io.Writer) error {
	p := parquet.NewGenericWriter[factRow](w, parquet.Compression(&parquet.Zstd))
	name := a.Product.Kind + "/" + a.Product.Name
	for i := range a.found {
		f := &a.found[i]
		for k, m := range a.Product.Values {
			if math.IsNaN(f.Values[k]) {
				continue
			}
			row := factRow{name, uint64(f.Cell), f.Time.UnixMilli(), f.Of, m.Name, f.Values[k], m.Unit, int64(len(f.Devices))}
			if _, err := p.Write([]factRow{row}); err != nil {
				return err
			}
		}
	}
	return p.Close()
}

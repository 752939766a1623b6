package sta

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
	"github.com/grange-network/grange/vertical/sensing/store"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
	"github.com/grange-network/grange/vertical/sensing/weather"
)

var start = time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC)

// world is three stations with two variables each, every hour for two days, and a
// server.
type world struct {
	token string
	t     *testing.T
	log   *storetest.Log
	store *store.Store
	till  *querytest.Till
	first *storetest.Station
	url   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: storetest.NewLog(), till: querytest.NewTill(1 << 40), token: querytest.Token}
	for i := range 3 {
		s := storetest.NewStation(t, i)
		if i == 0 {
			w.first = s
		}
		cell := h3.At(48.14+float64(i)/5, 11.57, h3.PublishedResolution)
		for h := range 48 {
			at := start.Add(time.Duration(h) * time.Hour)
			w.log.Add(s, cell, s.Batch(t, storetest.Reading("temperature", at, float64(i*100+h)), storetest.Reading("pressure", at, 1000)))
		}
	}
	st, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), ChainID: storetest.Chain, Registry: w.log, Kinds: []sensing.Kind{weather.Kind{}}})
	if err == nil {
		err = st.Catch(t.Context(), w.log)
	}
	if err == nil {
		err = st.Flush(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	w.store = st
	server := httptest.NewServer(Handler(Config{Store: st, Till: w.till}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// ask gets a path; spaces and quotes of it are escaped.
func (w *world) ask(path string) (status int, body string) {
	w.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = w.url + "/v1.1" + path
	}
	head, options, _ := strings.Cut(path, "?")
	if strings.HasPrefix(options, "%24") {
		path, options = strings.ReplaceAll(path, "+", "%20"), ""
	}
	var escaped []string
	for option := range strings.SplitSeq(options, "&") {
		name, value, _ := strings.Cut(option, "=")
		if strings.Contains(value, "%") {
			escaped = append(escaped, option)
			continue
		}
		escaped = append(escaped, name+"="+url.QueryEscape(value))
	}
	if options != "" {
		path = head + "?" + strings.Join(escaped, "&")
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func (w *world) get(path string) (v map[string]any) {
	w.t.Helper()
	status, body := w.ask(path)
	if status != http.StatusOK {
		w.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) values(path string) []any {
	w.t.Helper()
	v, ok := w.get(path)["value"].([]any)
	if !ok {
		w.t.Fatalf("GET %s has no values", path)
	}
	return v
}

// The root and the entities are as in the standard's sections 8.2 and 9.2.
func TestEntities(t *testing.T) {
	w := newWorld(t)
	if got := w.get(""); len(got["value"].([]any)) != 8 || got["serverSettings"] == nil {
		t.Errorf("root: %v", got)
	}
	cases := map[string]struct {
		path  string
		wants []string
	}{
		"a thing":         {"/Things(1)", []string{"@iot.id", "@iot.selfLink", "name", "description", "properties", "Locations@iot.navigationLink", "Datastreams@iot.navigationLink"}},
		"a location":      {"/Things(1)/Locations(1)", []string{"name", "description", "encodingType", "location", "Things@iot.navigationLink"}},
		"a place in time": {"/Things(1)/HistoricalLocations(1)", []string{"time", "Thing@iot.navigationLink", "Locations@iot.navigationLink"}},
		"a datastream":    {"/Datastreams(1)", []string{"name", "description", "unitOfMeasurement", "observationType", "phenomenonTime", "resultTime", "Thing@iot.navigationLink", "Sensor@iot.navigationLink", "ObservedProperty@iot.navigationLink", "Observations@iot.navigationLink"}},
		"a sensor":        {"/Datastreams(1)/Sensor", []string{"name", "description", "encodingType", "metadata", "Datastreams@iot.navigationLink"}},
		"a property":      {"/ObservedProperties('temperature')", []string{"name", "definition", "description", "Datastreams@iot.navigationLink"}},
		"an observation":  {"/Datastreams(1)/Observations('1-1774569600000')", []string{"phenomenonTime", "result", "resultTime", "Datastream@iot.navigationLink", "FeatureOfInterest@iot.navigationLink"}},
		"a feature":       {"/Observations('1-1774569600000')/FeatureOfInterest", []string{"name", "description", "encodingType", "feature", "Observations@iot.navigationLink"}},
		"one property":    {"/Datastreams(1)/unitOfMeasurement", []string{"unitOfMeasurement"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := w.get(c.path)
			for _, want := range c.wants {
				if got[want] == nil {
					t.Errorf("no %s in %v", want, got)
				}
			}
		})
	}
	if status, body := w.ask("/Datastreams(1)/unitOfMeasurement/$value"); status != 200 || !strings.Contains(body, "degree Celsius") {
		t.Errorf("$value: %d %s", status, body)
	}
	for _, set := range []string{things, locations, histories, datastreams, sensors, properties, features} {
		want := 3
		switch set {
		case datastreams:
			want = 6
		case properties:
			want = 2
		}
		if got := len(w.values("/" + set)); got != want {
			t.Errorf("%d %s, want %d", got, set, want)
		}
	}
	refs := w.values("/Things(1)/Datastreams/$ref")
	if one := refs[0].(map[string]any); len(refs) != 2 || len(one) != 1 || one["@iot.selfLink"] == nil {
		t.Errorf("references: %v", refs)
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	cases := map[string]struct {
		path string
		want int
	}{
		"filter by text":          {"/Datastreams?$filter=ObservedProperty/name eq 'temperature'", 3},
		"and, or, not":            {"/Datastreams?$filter=not (id eq 1 or id eq 2) and startswith(name,'temp')", 2},
		"substringof":             {"/Things?$filter=substringof('device',name)", 3},
		"geo.distance":            {"/Locations?$filter=geo.distance(location, geography'POINT (11.57 48.14)') lt 0.3", 2},
		"geo of a thing":          {"/Things?$filter=geo.distance(Locations/location, geography'POINT (11.57 48.14)') lt 0.1", 1},
		"properties within":       {"/Things?$filter=properties/kind eq 'weather'", 3},
		"result":                  {"/Datastreams(1)/Observations?$filter=result ge 40", 8},
		"result and time":         {"/Datastreams(1)/Observations?$filter=phenomenonTime ge 2026-03-27T10:00:00Z and phenomenonTime lt 2026-03-27T12:00:00.000Z", 2},
		"arithmetic":              {"/Datastreams(1)/Observations?$filter=result mod 10 eq 7", 5},
		"hours":                   {"/Datastreams(1)/Observations?$filter=hour(phenomenonTime) eq 3", 2},
		"top":                     {"/Datastreams(1)/Observations?$top=5", 5},
		"top of nothing":          {"/Datastreams(1)/Observations?$top=0", 0},
		"skip":                    {"/Datastreams(1)/Observations?$skip=46", 2},
		"across streams":          {"/Observations?$filter=Datastream/id eq 3 and result gt 140", 7},
		"observations of a thing": {"/FeaturesOfInterest(1)/Observations?$top=1000", 96},
		"expand and filter":       {"/Things?$filter=id ge 2&$expand=Datastreams($filter=id ge 5)", 2},
		"time of a datastream":    {"/Datastreams?$filter=phenomenonTime lt 2026-03-26T00:00:00Z", 0},
		"null":                    {"/Things?$filter=properties/nothing eq null", 3},
		"one of many":             {"/Things?$filter=Datastreams/ObservedProperty/name eq 'temperature' and Datastreams/id gt 4", 1},
		"none of many":            {"/Things?$filter=not (tolower(Datastreams/name) eq 'x')", 3},
		"within a polygon":        {"/Things?$filter=st_within(Locations/location, geography'POLYGON ((11 48,12 48,12 48.4,11 48.4,11 48))')", 2},
		"outside of it":           {"/Locations?$filter=st_disjoint(location, geography'POLYGON ((11 48,12 48,12 48.4,11 48.4,11 48))')", 1},
		"equal places":            {"/Locations?$filter=st_equals(location, geography'POINT (0 0)')", 0},
		"now":                     {"/Observations?$filter=phenomenonTime gt now() sub duration'PT1H'", 0},
		"a time and a day less":   {"/Datastreams(1)/Observations?$filter=phenomenonTime ge 2026-03-28T22:00:00Z sub duration'P1D' and phenomenonTime lt 2026-03-28", 2},
		"a date":                  {"/Datastreams(1)/Observations?$filter=date(phenomenonTime) eq 2026-03-28 and fractionalseconds(phenomenonTime) eq 0", 24},
		"a time of day":           {"/Datastreams(1)/Observations?$filter=time(phenomenonTime) lt 02:00:00", 4},
		"texts":                   {"/Datastreams?$filter=substring(name,4,3) eq 'era' and indexof(name,'e') eq 1", 3},
		"time between":            {"/Observations?$filter=phenomenonTime gt mindatetime() and phenomenonTime lt maxdatetime()&$top=1000", 288},
		"by result":               {"/Observations?$orderby=result desc,phenomenonTime asc&$filter=result lt 999&$top=3", 3},
		"quotes":                  {"/Things?$filter=name ne 'it''s'", 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := len(w.values(c.path)); got != c.want {
				t.Errorf("%d values, want %d", got, c.want)
			}
		})
	}
	newest := w.values("/Datastreams(1)/Observations?$top=1")[0].(map[string]any)
	oldest := w.values("/Datastreams(1)/Observations?$top=1&$orderby=phenomenonTime asc")[0].(map[string]any)
	if newest["result"] != 47.0 || oldest["result"] != 0.0 {
		t.Errorf("newest %v, oldest %v", newest["result"], oldest["result"])
	}
	// Of all streams together the newest come first, and by result the largest.
	for path, want := range map[string]string{
		"/Observations?$orderby=phenomenonTime desc&$top=7":                     "47 1000 147 1000 247 1000 46",
		"/Observations?$orderby=phenomenonTime&$top=7&$skip=2":                  "100 1000 200 1000 1 1000 101",
		"/Observations?$orderby=result&$top=3":                                  "0 1 2",
		"/Observations?$orderby=result&$top=2&$skip=2":                          "2 3",
		"/Things(3)/Datastreams(5)/Observations?$top=2&$orderby=phenomenonTime": "200 201",
	} {
		var got []string
		for _, v := range w.values(path) {
			got = append(got, fmt.Sprint(v.(map[string]any)["result"]))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
	last := w.values("/Things?$orderby=id desc&$select=id,name")[0].(map[string]any)
	if last["@iot.id"] != 3.0 || len(last) != 2 {
		t.Errorf("last thing, two properties of it: %v", last)
	}
	if got := w.get("/Datastreams(1)/Observations?$count=true&$top=1")["@iot.count"]; got != 48.0 {
		t.Errorf("count %v, want 48", got)
	}
	if got := w.get("/Datastreams(1)/Observations?$count=true&$top=1&$filter=result lt 10")["@iot.count"]; got != 10.0 {
		t.Errorf("count %v, want 10", got)
	}
}

func TestExpand(t *testing.T) {
	w := newWorld(t)
	thing := w.get("/Things(1)?$expand=Locations,Datastreams($select=name;$orderby=name;$expand=ObservedProperty,Observations($top=2;$count=true))")
	streams := thing["Datastreams"].([]any)
	first := streams[0].(map[string]any)
	if len(streams) != 2 || !strings.HasPrefix(first["name"].(string), "pressure") || first["ObservedProperty"].(map[string]any)["name"] != "pressure" {
		t.Fatalf("%v", streams)
	}
	if got := first["Observations"].([]any); len(got) != 2 || first["Observations@iot.count"] != 48.0 || first["Observations@iot.nextLink"] == nil {
		t.Errorf("%v", first)
	}
	if n := len(w.values(first["Observations@iot.nextLink"].(string))); n != 2 {
		t.Errorf("%d behind the next link, want 2", n)
	}
	few := w.get("/Things(1)?$expand=Datastreams($expand=Observations($top=2;$filter=result lt 5;$orderby=result))")["Datastreams"].([]any)[0].(map[string]any)
	if got := w.values(few["Observations@iot.nextLink"].(string)); len(got) != 2 || got[0].(map[string]any)["result"] != 2.0 {
		t.Errorf("behind the next link, by its filter and order: %v", got)
	}
	if got := w.get("/Datastreams(1)?$expand=Thing/Locations")["Thing"].(map[string]any)["Locations"].([]any); len(got) != 1 {
		t.Errorf("by a path: %v", got)
	}
}

// Pages together are everything, once.
func TestPages(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/Datastreams(1)/Observations?$top=7", "/Datastreams(1)/Observations?$top=7&$orderby=phenomenonTime asc", "/Observations?$top=50", "/Observations?$top=50&$orderby=phenomenonTime desc", "/Observations?$top=49&$orderby=resultTime", "/Observations?$top=100&$orderby=result,id", "/Datastreams?$top=4"} {
		seen := map[any]bool{}
		n := 0
		for next := path; next != ""; {
			page := w.get(next)
			for _, v := range page["value"].([]any) {
				seen[v.(map[string]any)["@iot.id"]] = true
				n++
			}
			next, _ = page["@iot.nextLink"].(string)
		}
		want := map[bool]int{true: 48, false: 6}[strings.HasPrefix(path, "/Datastreams(")]
		if strings.HasPrefix(path, "/Obs") {
			want = 288
		}
		if n != want || len(seen) != want {
			t.Errorf("%s: %d values, %d different, want %d", path, n, len(seen), want)
		}
	}
}

// The standard's section 12: arrays by datastream.
func TestDataArrays(t *testing.T) {
	w := newWorld(t)
	arrays := w.values("/Things(1)/Datastreams(2)/Observations?$resultFormat=dataArray&$top=3&$select=result,phenomenonTime")
	one := arrays[0].(map[string]any)
	if len(arrays) != 1 || one["dataArray@iot.count"] != 3.0 || len(one["components"].([]any)) != 2 || one["dataArray"].([]any)[0].([]any)[0] != 1000.0 {
		t.Errorf("%v", arrays)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	cases := map[string]struct {
		path   string
		status int
		says   string
	}{
		"no set":           {"/Tasks", 404, "Tasks"},
		"no entity":        {"/Things(99)", 404, "none"},
		"not its own":      {"/Things(1)/Datastreams(6)", 404, "none"},
		"no property":      {"/Things(1)/weight", 404, "weight"},
		"no option":        {"/Things?$search=x", 400, "$search"},
		"half a filter":    {"/Things?$filter=name eq", 400, "value"},
		"no function":      {"/Things?$filter=exec('x')", 400, "exec"},
		"no property of":   {"/Things?$filter=weight eq 3", 400, "weight"},
		"mixed":            {"/Things?$filter=name gt 3", 400, "compared"},
		"too deep":         {"/Things?$filter=" + strings.Repeat("(", 40) + "true" + strings.Repeat(")", 40), 400, "deep"},
		"too long":         {"/Things?$filter=" + strings.Repeat("true or ", 300) + "true", 400, "words"},
		"expand too deep":  {"/Things?$expand=Datastreams/Thing/Datastreams/Thing/Datastreams", 400, "deep"},
		"expand nothing":   {"/Things?$expand=Tasks", 400, "Tasks"},
		"an order of many": {"/Things?$orderby=Datastreams/name", 400, "2 values"},
		"a cursor in it":   {"/Observations?$orderby=result&$skiptoken=1,1", 400, "$skip"},
		"a wrong polygon":  {"/Things?$filter=st_within(Locations/location,geography'POLYGON((1 2,3 4))')", 400, "corners"},
		"a wrong duration": {"/Observations?$filter=phenomenonTime gt now() sub duration'1H'", 400, "PT1H30M"},
		"a wrong cursor":   {"/Datastreams(1)/Observations?$skiptoken=x", 400, "nextLink"},
		"arrays of things": {"/Things?$resultFormat=dataArray", 400, "observations"},
		"too much within":  {"/Things?$expand=Datastreams($expand=Thing($expand=Datastreams($expand=Observations($top=10000))))", 200, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status, body := w.ask(c.path)
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d %.300s, want %d with %q", status, body, c.status, c.says)
			}
		})
	}
}

func TestObservationsArePaid(t *testing.T) {
	w := newWorld(t)
	w.get("/Things?$expand=Datastreams")
	if n := w.till.Owed().Total(); n != 0 {
		t.Errorf("%d units for what is no observation", n)
	}
	w.get("/Datastreams(1)?$expand=Observations($top=5)")
	if n := w.till.Owed()[w.first.ID()]; n != 5 {
		t.Errorf("%d units, want 5", n)
	}
	w.till = querytest.NewTill(3)
	server := httptest.NewServer(Handler(Config{Store: w.store, Till: w.till}))
	defer server.Close()
	if status, body := w.ask(server.URL + "/v1.1/Datastreams(1)/Observations"); status != http.StatusPaymentRequired || !strings.Contains(body, "3 units are left") {
		t.Errorf("%d %s", status, body)
	}
}

// others is what devices may do.
type others struct{}

func (others) Connect(name string, _ []byte) (string, error) { return name, nil }
func (others) MayPublish(string, string) bool                { return true }
func (others) MaySubscribe(string, string) bool              { return true }
func (others) ErrorTopic(identity, _ string) string          { return "v1/obs/" + identity + "/error" }
func (others) Publish(_ context.Context, messages []mqttx.Message) {
	for i := range messages {
		messages[i].Deliver = true
	}
}

// mosquitto_sub gets observations, and pays for them.
func TestMQTT(t *testing.T) {
	tool, err := exec.LookPath("mosquitto_sub")
	if err != nil {
		t.Skip("mosquitto_sub is not installed")
	}
	w := newWorld(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	doors := &Doors{Others: others{}, Till: w.till, Logger: slog.New(slog.DiscardHandler)}
	watched := make(chan string, 10)
	broker, err := mqttx.New(t.Context(), l, &noted{doors, watched}, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- doors.Run(ctx, w.store, broker, "http://127.0.0.1/v1.1") }()
	defer func() { stop(); <-done }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	cmd := exec.CommandContext(t.Context(), tool, "-V", "5", "-h", "127.0.0.1", "-p", port, "-u", Reader, "-P", querytest.Token, "-t", Topic(1), "-t", Topic(2), "-C", "1", "-W", "180")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-watched
	<-watched
	// Its subscriptions are in force; the watch of the store may come a moment later,
	// so that more readings come until one arrives.
	got := make(chan []byte, 1)
	go func() { raw, _ := io.ReadAll(out); got <- raw }()
	for h := 48; ; h++ {
		w.log.Add(w.first, h3.At(48.14, 11.57, h3.PublishedResolution), w.first.Batch(t, storetest.Reading("temperature", start.Add(time.Duration(h)*time.Minute), 21.5)))
		if err := w.store.Catch(t.Context(), w.log); err != nil {
			t.Fatal(err)
		}
		select {
		case raw := <-got:
			var o map[string]any
			if err := json.Unmarshal(raw, &o); err != nil || o["result"] != 21.5 || o["Datastream@iot.navigationLink"] == nil {
				t.Fatalf("got %s: %v", raw, err)
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			if n := w.till.Owed()[w.first.ID()]; n == 0 {
				t.Error("nothing is owed")
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// noted tells of subscriptions.
type noted struct {
	*Doors
	filters chan string
}

func (n *noted) MaySubscribe(identity, filter string) bool {
	ok := n.Doors.MaySubscribe(identity, filter)
	select {
	case n.filters <- filter:
	default:
	}
	return ok
}

func TestWhoMayReadWhat(t *testing.T) {
	d := &Doors{Others: others{}, Till: querytest.NewTill(1), Logger: slog.New(slog.DiscardHandler)}
	reader, err := d.Connect(Reader, []byte(querytest.Token))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Connect(Reader, []byte("bad")); err == nil {
		t.Error("a wrong token is let in")
	}
	cases := map[string]struct{ got, want bool }{
		"a buyer reads observations": {d.MaySubscribe(reader, "v1.1/#"), true},
		"those of a variable":        {d.MaySubscribe(reader, "v1.1/Datastreams(7)/Observations"), true},
		"those of all":               {d.MaySubscribe(reader, "v1.1/+/Observations"), true},
		"not what never comes":       {d.MaySubscribe(reader, "v1.1/Observations"), false},
		"nor a selection":            {d.MaySubscribe(reader, "v1.1/Datastreams(7)/Observations?$select=result"), false},
		"but nothing else":           {d.MaySubscribe(reader, "v1/obs/#"), false},
		"nor all":                    {d.MaySubscribe(reader, "#"), false},
		"and publishes nothing":      {d.MayPublish(reader, "v1.1/Datastreams(1)/Observations"), false},
		"a device reads none":        {d.MaySubscribe("device", "v1.1/#"), false},
		"a device invents none":      {d.MayPublish("device", "v1.1/Datastreams(1)/Observations"), false},
	}
	for name, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %v", name, c.got)
		}
	}
}

// How many observations are as a filter says tells what they are: it is sold like an
// aggregate, by the device that has a part in it, and not told to everybody.
func TestCountsByValueAreSold(t *testing.T) {
	w := newWorld(t)
	before := w.till.Owed().Total()
	const by = "/Datastreams(1)/Observations?$top=0&$count=true"
	for path, units := range map[string]uint64{
		by:                             0, // as the datastream itself says
		by + "&$filter=result lt 10":   1,
		by + "&$filter=result lt -999": 0,
		"/Things?$expand=Datastreams($filter=id eq 1;$expand=Observations($top=0;$count=true;$filter=result lt 10))": 1,
	} {
		if status, body := w.ask(path); status != http.StatusOK || w.till.Owed().Total()-before != units {
			t.Errorf("%s: %d units and %d, want %d: %s", path, w.till.Owed().Total()-before, status, units, body)
		}
		before = w.till.Owed().Total()
	}
	w.token = "nobody"
	if status, body := w.ask(by + "&$filter=result lt -999"); status != http.StatusPaymentRequired {
		t.Errorf("a stranger is told: %d %s", status, body)
	}
}

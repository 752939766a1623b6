package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/vertical/notary"
)

// withhold has a validator's verifier look for evidence in a directory that is
// not there, or where all others do.
func (r *running) withhold(i int, missing bool) {
	r.Helper()
	path := filepath.Join(r.home, "cluster.json")
	raw, err := os.ReadFile(path)
	r.must(err)
	var plan map[string]any
	r.must(json.Unmarshal(raw, &plan))
	v := plan["validators"].([]any)[i].(map[string]any)
	if delete(v, "evidence"); missing {
		v["evidence"] = filepath.Join(r.home, "not-mounted")
	}
	raw, err = json.Marshal(plan)
	r.must(err)
	sup := r.net.Supervisor()
	r.must(sup.Stop(r.Context(), r.name(i)))
	r.must(os.WriteFile(path, raw, 0o600))
	r.must(sup.Start(r.Context(), r.name(i)))
}

// accepted are the accepted reports on the notaries from an epoch on, newest
// first.
func accepted(t *testing.T, c *client.Client, from uint64) (all []oraclepb.Report) {
	t.Helper()
	list, err := c.Oracle.Reports(t.Context(), &oraclepb.QueryReportsRequest{Vertical: notary.Name, Pagination: &query.PageRequest{Limit: 200}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list.Reports {
		if x.Epoch >= from {
			all = append(all, x)
		}
	}
	return all
}

// votesOn are the validators that voted for what was accepted, and against it.
func votesOn(t *testing.T, c *client.Client, x oraclepb.Report) (agreed, dissented []string) {
	t.Helper()
	got, err := c.Oracle.Report(t.Context(), &oraclepb.QueryReportRequest{Vertical: notary.Name, Epoch: x.Epoch})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got.Votes {
		if bytes.Equal(v.Content.RewardRoot, x.Content.RewardRoot) && bytes.Equal(v.Content.InputsRoot, x.Content.InputsRoot) {
			agreed = append(agreed, v.Validator)
		} else {
			dissented = append(dissented, v.Validator)
		}
	}
	return agreed, dissented
}

// unanimous waits for a report on the notaries, of an epoch or a later one, that
// pays and that the four validators voted for.
func (r *running) unanimous(c *client.Client, from uint64) oraclepb.Report {
	r.Helper()
	var found oraclepb.Report
	r.until(c, func() string {
		said := "no report"
		for _, x := range accepted(r.T, c, from) {
			agreed, _ := votesOn(r.T, c, x)
			if found = x; len(agreed) == 4 && x.Content.Total > 0 {
				return ""
			}
			said = fmt.Sprintf("epoch %d pays %d ugrain and has votes of %v", x.Epoch, x.Content.Total, agreed)
		}
		return said
	})
	return found
}

// until waits block by block for missing to be empty.
func (r *running) until(c *client.Client, missing func() string) {
	r.Helper()
	end, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	for {
		height, _ := c.Head()
		what := missing()
		if what == "" {
			return
		}
		if err := c.WaitHeight(end, height+1); err != nil {
			r.Fatalf("%s after %v (%v)\n%s", what, patience, err, r.logs())
		}
	}
}

// paid waits until every notary was paid for what others saw of it.
func (r *running) paid(c *client.Client) {
	r.Helper()
	r.until(c, func() string {
		devices, err := c.Device.Devices(r.Context(), &devicepb.QueryDevicesRequest{})
		r.must(err)
		if len(devices.Devices) < 3 {
			return fmt.Sprintf("%d devices are registered", len(devices.Devices))
		}
		for _, d := range devices.Devices {
			got, err := c.Oracle.Claimed(r.Context(), &oraclepb.QueryClaimedRequest{Device: d.Id})
			r.must(err)
			if got.Paid == 0 {
				return "device " + d.Id + " is not paid"
			}
		}
		return ""
	})
}

// stamp buys one.
func (r *running) stamp() {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.net.Endpoints().Notary+"/stamp", strings.NewReader("hello"))
	r.must(err)
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	defer resp.Body.Close()
	var s notary.Stamp
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || !s.Valid() {
		r.Fatalf("stamp: %s, %+v (%v)", resp.Status, s, err)
	}
}

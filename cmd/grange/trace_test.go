package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/trace"
)

// s3Request VAR put|get BUCKET KEY [BYTES]: one request with the AWS SDK, whose
// request id becomes VAR; with !, one that is answered with an error.
func s3Request(ts *testscript.TestScript, neg bool, args []string) {
	e, err := local.LoadEndpoints(ts.MkAbs("home"))
	ts.Check(err)
	c := s3.New(s3.Options{
		BaseEndpoint: aws.String(e.S3.URL), Region: e.S3.Region, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(e.S3.AccessKey, e.S3.SecretKey, ""),
	})
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	id, err := s3Do(ctx, c, args[1:])
	var answered interface{ ServiceRequestID() string }
	if errors.As(err, &answered) {
		id = answered.ServiceRequestID()
	}
	if (err != nil) != neg {
		ts.Fatalf("%v: error is %v", args, err)
	}
	ts.Setenv(args[0], id)
}

func s3Do(ctx context.Context, c *s3.Client, args []string) (id string, err error) {
	bucket, key := &args[1], &args[2]
	if args[0] == "get" {
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
		if err != nil {
			return "", err
		}
		defer out.Body.Close()
		if _, err := io.Copy(io.Discard, out.Body); err != nil {
			return "", err
		}
		id, _ = middleware.GetRequestIDMetadata(out.ResultMetadata)
		return id, nil
	}
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		return "", err
	}
	var n int
	if _, err := fmt.Sscan(args[3], &n); err != nil {
		return "", err
	}
	out, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(bytes.Repeat([]byte("grange"), n/6))})
	if err != nil {
		return "", err
	}
	id, _ = middleware.GetRequestIDMetadata(out.ResultMetadata)
	return id, nil
}

// settled ID: within three minutes every part of the trace that is paid for is
// settled in a transaction, and the ledger's event of that transaction names the
// lease.
func settled(ts *testscript.TestScript, _ bool, args []string) {
	e, err := local.LoadEndpoints(ts.MkAbs("home"))
	ts.Check(err)
	var open string
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		t, err := trace.Load(local.TraceDir(ts.MkAbs("home")), args[0])
		if err != nil {
			open = err.Error()
			continue
		}
		paid := payments(t.Roots)
		if open = unsettled(paid); open != "" {
			continue
		}
		for _, p := range paid {
			ts.Check(onLedger(e.RPC, p))
		}
		return
	}
	ts.Fatalf("trace %s is not settled within three minutes: %s", args[0], open)
}

func payments(nodes []*trace.Node) (out []*trace.Payment) {
	for _, n := range nodes {
		if n.Payment != nil {
			out = append(out, n.Payment)
		}
		out = append(out, payments(n.Children)...)
	}
	return out
}

func unsettled(all []*trace.Payment) string {
	if len(all) == 0 {
		return "nothing in it is paid for"
	}
	for _, p := range all {
		if p.Tx == "" {
			return fmt.Sprintf("%+v", *p)
		}
	}
	return ""
}

// onLedger looks for the event of a payment in its transaction.
func onLedger(rpc string, p *trace.Payment) error {
	res, err := http.Get(rpc + "/tx?hash=0x" + p.Tx)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer struct {
		Result struct {
			Height string `json:"height"`
			Result struct {
				Events []struct {
					Type       string `json:"type"`
					Attributes []struct{ Key, Value string }
				} `json:"events"`
			} `json:"tx_result"`
		} `json:"result"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Result.Height != p.Height {
		return fmt.Errorf("transaction %s is in block %s, the trace says %s", p.Tx, answer.Result.Height, p.Height)
	}
	if p.Units == 0 {
		return nil // a commitment: the ledger keeps it, and makes no event of it
	}
	for _, ev := range answer.Result.Result.Events {
		for _, a := range ev.Attributes {
			if ev.Type == "grange.market.settle" && a.Key == "lease" && strings.Trim(a.Value, `"`) == p.Lease {
				return nil
			}
		}
	}
	return fmt.Errorf("transaction %s has no settlement of lease %s", p.Tx, p.Lease)
}

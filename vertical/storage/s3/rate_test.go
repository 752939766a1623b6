package s3_test

import (
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/vertical/storage/s3"
)

// An address that asks too much is told to slow down; the next second it may ask
// again.
func TestSlowDown(t *testing.T) {
	f := start(t, "", func(c *s3.Config) { c.Limit = peerlimit.Rate{PerSecond: 1, Burst: 3, Loopback: true} })
	var err error
	asked := 0
	for ; err == nil && asked < 50; asked++ {
		_, err = f.ListBuckets(f.ctx(), &sdk.ListBucketsInput{})
	}
	if asked < 3 {
		t.Errorf("refused at request %d, want three to be answered", asked)
	}
	f.refused(err, "SlowDown", 503)
}

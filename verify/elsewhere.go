package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// fetchWithin is how long another verifier may take to send an epoch.
const fetchWithin = time.Minute

// elsewhere reads what another verifier published of an epoch. It is not checked
// in any way: somebody who cheats may publish what Encode would not write.
func elsewhere(ctx context.Context, from, vertical string, epoch uint64) (p Published, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	body, err := open(ctx, from, vertical, epoch)
	if err != nil {
		return p, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, maxPublished+1))
	switch {
	case err != nil:
		return p, fmt.Errorf("read epoch %d of %s from %s: %w", epoch, vertical, from, err)
	case len(raw) > maxPublished:
		return p, fmt.Errorf("read epoch %d of %s from %s: it is larger than %d bytes", epoch, vertical, from, maxPublished)
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("read epoch %d of %s from %s: %w", epoch, vertical, from, err)
	}
	return p, nil
}

// open opens a file of a home, or of the Handler at a URL.
func open(ctx context.Context, from, vertical string, epoch uint64) (io.ReadCloser, error) {
	if !strings.HasPrefix(from, "http://") && !strings.HasPrefix(from, "https://") {
		return os.Open(shelfOf(from, vertical).path(epoch))
	}
	at, err := url.JoinPath(from, "v1", "epochs", vertical, strconv.FormatUint(epoch, 10))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("get %s: %s", at, resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}

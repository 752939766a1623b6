package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// HeaderReceipt carries a receipt, base64 of its 220 bytes: the payer's newest
// on a request, the countersigned one on an answer.
const HeaderReceipt = "Grange-Receipt"

// maxAnswer bounds every JSON answer of a provider, in bytes.
const maxAnswer = 1 << 20

// ProviderError is a provider's refusal.
type ProviderError struct {
	Op      string // "put piece", "read piece", ...
	Status  int    // HTTP status
	Code    string // machine-readable
	Message string // sentence for people

	// Of a 402 only: what the provider counts.
	Served, Paid, Window uint64
	// Of a 409 to a commitment only: pieces to add that it does not have.
	Missing []piece.Root
}

func (e *ProviderError) Error() string {
	return fmt.Sprintf("%s: provider answered %d %s: %s", e.Op, e.Status, e.Code, e.Message)
}

// client speaks the provider's HTTP API for one lease over one tunnel.
type client struct {
	lease  LeaseID
	dialer *tunnel.Dialer
	http   *http.Client
}

func newClient(id LeaseID, p Provider, key ed25519.PrivateKey, opts tunnel.Options) (*client, error) {
	endpoint, err := tunnel.ParseEndpoint(p.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("reach device %x: %w", p.Device, err)
	}
	dialer, err := tunnel.NewDialer(key, opts)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:            dialer.DialContext(tunnel.Target{Endpoint: endpoint, Peer: p.Key}),
		MaxIdleConnsPerHost:    32,
		MaxConnsPerHost:        128,
		IdleConnTimeout:        time.Minute,
		ResponseHeaderTimeout:  time.Minute,
		ExpectContinueTimeout:  2 * time.Second,
		MaxResponseHeaderBytes: 16 << 10,
		DisableCompression:     true,
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         4 << 10, // groups of 16 KiB pass it by, uncopied
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{lease: id, dialer: dialer, http: &http.Client{Transport: transport, CheckRedirect: refuse}}, nil
}

func (c *client) close() {
	c.http.CloseIdleConnections()
	c.dialer.Close()
}

// send makes one request. The caller closes the answer's body.
func (c *client) send(ctx context.Context, method, path string, query url.Values, body io.Reader, size int64, header http.Header) (*http.Response, error) {
	query.Set("lease", hex.EncodeToString(c.lease[:]))
	req, err := http.NewRequestWithContext(ctx, method, "http://provider"+path+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if header != nil {
		req.Header = header
	}
	trace.Inject(ctx, req.Header)
	res, err := c.http.Do(req)
	var long *url.Error
	if errors.As(err, &long) { // its text is mostly the URL, which tells nobody anything
		err = long.Err
	}
	return res, err
}

// refusal turns an answer other than expected into a *ProviderError.
func refusal(op string, res *http.Response) error {
	e := &ProviderError{Op: op, Status: res.StatusCode}
	var body struct {
		Error  string `json:"error"`
		Code   string `json:"code"`
		Served uint64 `json:"units_served"`
		Paid   uint64 `json:"units_paid"`
		Window uint64 `json:"window"`

		Missing []string `json:"missing"`
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil || json.Unmarshal(raw, &body) != nil {
		e.Message = http.StatusText(res.StatusCode)
		return e
	}
	e.Code, e.Message = body.Code, body.Error
	for _, text := range body.Missing {
		if root, err := piece.ParseRoot(text); err == nil {
			e.Missing = append(e.Missing, root)
		}
	}
	e.Served, e.Paid, e.Window = body.Served, body.Paid, body.Window
	return e
}

// putPiece stores size bytes under root; it returns when they are durable.
func (c *client) putPiece(ctx context.Context, root piece.Root, body io.Reader, size int64) error {
	header := http.Header{}
	if size > 1<<20 {
		header.Set("Expect", "100-continue") // do not send what would be refused
	}
	res, err := c.send(ctx, http.MethodPut, "/v1/pieces/"+root.String(), url.Values{}, io.NopCloser(body), size, header)
	if err != nil {
		return fmt.Errorf("put piece: %w", err)
	}
	defer finish(res)
	if res.StatusCode != http.StatusCreated && res.StatusCode != http.StatusOK {
		return refusal("put piece", res)
	}
	return nil
}

// readPiece fills p with the verified bytes of the piece from offset off and
// returns how many of them arrived, and the receipt the provider countersigned,
// if any.
func (c *client) readPiece(ctx context.Context, root piece.Root, size, off int64, p []byte, pay receipt.Receipt) (int, *receipt.Receipt, error) {
	header := http.Header{}
	if pay.Seq > 0 {
		header.Set(HeaderReceipt, base64.StdEncoding.EncodeToString(pay.Encode()))
	}
	query := url.Values{
		"offset": {strconv.FormatInt(off, 10)},
		"length": {strconv.Itoa(len(p))},
	}
	res, err := c.send(ctx, http.MethodGet, "/v1/pieces/"+root.String(), query, nil, 0, header)
	if err != nil {
		return 0, nil, fmt.Errorf("read piece: %w", err)
	}
	defer finish(res)
	signed := receiptHeader(res.Header)
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusPartialContent {
		return 0, signed, refusal("read piece", res)
	}
	slice, err := piece.NewSliceReader(res.Body, root, size, off, int64(len(p)))
	if err != nil {
		return 0, signed, fmt.Errorf("read piece: %w", err)
	}
	n, err := io.ReadFull(slice, p)
	if err != nil {
		return n, signed, fmt.Errorf("read piece %s at %d: %d of %d bytes: %w", root, off, n, len(p), err)
	}
	return n, signed, nil
}

func receiptHeader(h http.Header) *receipt.Receipt {
	raw, err := base64.StdEncoding.DecodeString(h.Get(HeaderReceipt))
	if err != nil || len(raw) != receipt.Size {
		return nil
	}
	r, err := receipt.Decode(raw)
	if err != nil {
		return nil
	}
	return &r
}

// payReceipt hands r over and returns it countersigned.
func (c *client) payReceipt(ctx context.Context, r receipt.Receipt) (receipt.Receipt, error) {
	body := r.Encode()
	res, err := c.send(ctx, http.MethodPost, "/v1/receipts", url.Values{}, bytes.NewReader(body), int64(len(body)), nil)
	if err != nil {
		return receipt.Receipt{}, fmt.Errorf("pay: %w", err)
	}
	defer finish(res)
	return readReceipt("pay", res)
}

// lastReceipt asks for the newest receipt the provider holds; ok is false when
// it has none.
func (c *client) lastReceipt(ctx context.Context, lane uint32) (r receipt.Receipt, ok bool, err error) {
	query := url.Values{"lane": {strconv.FormatUint(uint64(lane), 10)}}
	res, err := c.send(ctx, http.MethodGet, "/v1/receipts", query, nil, 0, nil)
	if err != nil {
		return receipt.Receipt{}, false, fmt.Errorf("ask for the last receipt: %w", err)
	}
	defer finish(res)
	if res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusNoContent {
		return receipt.Receipt{}, false, nil
	}
	r, err = readReceipt("ask for the last receipt", res)
	return r, err == nil && r.Seq > 0, err
}

func readReceipt(op string, res *http.Response) (receipt.Receipt, error) {
	if res.StatusCode/100 != 2 {
		return receipt.Receipt{}, refusal(op, res)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, receipt.Size+1))
	if err != nil {
		return receipt.Receipt{}, fmt.Errorf("%s: %w", op, err)
	}
	r, err := receipt.Decode(raw)
	if err != nil {
		return receipt.Receipt{}, fmt.Errorf("%s: %w", op, err)
	}
	return r, nil
}

// finish drains a little and closes, so that the connection is used again.
func finish(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	res.Body.Close()
}

// Codes of a provider's refusals that the engine tells apart.
const (
	codeReceiptDue   = "receipt_due"   // 402: the window is used up
	codeLaneSpent    = "lane_spent"    // 402: the lane's cap as the provider knows it
	codeUnknownLease = "unknown_lease" // 403: its ledger does not show the lease (yet)
	codeUnavailable  = "unavailable"   // 503: its ledger does not answer
)

// isCode reports whether err is a provider's refusal with that code.
func isCode(err error, code string) bool {
	var e *ProviderError
	return errors.As(err, &e) && e.Code == code
}

// isStatus reports whether err is a provider's refusal with that HTTP status.
func isStatus(err error, status int) bool {
	var e *ProviderError
	return errors.As(err, &e) && e.Status == status
}

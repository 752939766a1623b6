package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/trace"
)

// Config is what Serve needs. Zero values mean the stated defaults.
type Config struct {
	Addr      string // host:port to listen on; port 0 picks a free one
	Region    string // reported to clients; default "us-east-1"
	AccessKey string // the one account's access key id
	SecretKey string // and its secret
	Home      string // directory for the catalog and the journal; created
	Segments  Segments
	Logger    *slog.Logger     // default: discard
	Tracer    oteltrace.Tracer // default: none, but trace ids are given and passed on

	// CertFile and KeyFile turn TLS on.
	CertFile, KeyFile string

	// Accounts, if set, is a directory for further accounts, which the one
	// account manages with the front end's administration API. Their secrets
	// are kept there in plain text.
	Accounts string

	// Ready, if set, is called once with the address that clients can use.
	Ready func(addr string)

	// Health, if set, is a path that answers GET with 200 without a signature.
	Health string

	PackIdle      time.Duration // small objects are packed after this long without new ones; default 2 s
	PackAge       time.Duration // and at the latest after this long; default 30 s
	UploadExpiry  time.Duration // multipart uploads older than this are aborted; default 7 days
	MaxConcurrent int           // requests served at once, others get 503; default 1024

	// Limit is what one address may ask, beyond it 503 SlowDown; default 500
	// requests a second and 2,000 at once, loopback free.
	Limit peerlimit.Rate
}

func (c Config) withDefaults() (Config, error) {
	if c.Segments == nil || c.Home == "" || c.Addr == "" {
		return c, errors.New("serve s3: address, home and segments are required")
	}
	if c.AccessKey == "" || c.SecretKey == "" {
		return c, errors.New("serve s3: access key and secret key are required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Tracer = trace.Or(c.Tracer)
	setDefault(&c.Region, "us-east-1")
	setDefault(&c.PackIdle, 2*time.Second)
	setDefault(&c.PackAge, 30*time.Second)
	setDefault(&c.UploadExpiry, 7*24*time.Hour)
	setDefault(&c.MaxConcurrent, 1024)
	setDefault(&c.Limit, peerlimit.Rate{PerSecond: 500, Burst: 2000})
	return c, nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Serve answers S3 requests until ctx is cancelled, then lets requests under
// way finish for up to ten seconds, closes everything and returns nil. Only one
// Serve can run in a process.
func Serve(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	addr, err := listenAddr(cfg.Addr)
	if err != nil {
		return err
	}
	d, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	return d.serve(ctx, addr)
}

// serve answers requests until ctx is cancelled and then closes the door.
func (d *door) serve(ctx context.Context, addr string) error {
	accounts, err := openAccounts(d.cfg)
	if err == nil {
		err = embedgw.RunVersityGW(ctx, d, frontEnd(d.cfg, addr, accounts))
	}
	if cerr := d.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("serve s3 on %s: %w", addr, err)
	}
	return nil
}

func frontEnd(cfg Config, addr string, accounts auth.IAMService) *embedgw.Config {
	opts := []s3api.Option{
		s3api.WithMiddleware("/", slowDown(peerlimit.New(cfg.Limit))),
		s3api.WithMiddleware("/", linger),
		s3api.WithMiddleware("/", annotate(cfg.Tracer, cfg.Logger)),
	}
	if cfg.Ready != nil {
		opts = append(opts, s3api.WithOnListen(func() { cfg.Ready(addr) }))
	}
	return &embedgw.Config{
		RootUserAccess:    cfg.AccessKey,
		RootUserSecret:    cfg.SecretKey,
		Region:            cfg.Region,
		Ports:             []string{addr},
		MaxConnections:    4 * cfg.MaxConcurrent,
		MaxRequests:       cfg.MaxConcurrent,
		MultipartMaxParts: maxParts,
		CertFile:          cfg.CertFile,
		KeyFile:           cfg.KeyFile,
		HealthPath:        cfg.Health,
		IAMService:        accounts,
		KeepAlive:         true,
		Quiet:             true,
		S3Options:         opts,
	}
}

// listenAddr replaces port 0, which the front end could not report back, by a free
// one.
func listenAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("serve s3: %w", err)
	}
	if port != "0" {
		return addr, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "", fmt.Errorf("serve s3: find a free port: %w", err)
	}
	addr = l.Addr().String()
	return addr, l.Close()
}

// slowDown answers addresses that ask too much, before anything is read or
// checked.
func slowDown(limit *peerlimit.Limiter) fiber.Handler {
	const answer = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>This address asks too much; wait a second and try again.</Message></Error>`
	return func(c fiber.Ctx) error {
		if limit.Allow(c.RequestCtx().RemoteAddr().String()) {
			return c.Next()
		}
		c.Set(fiber.HeaderRetryAfter, "1")
		return c.Status(fiber.StatusServiceUnavailable).Type("xml").SendString(answer)
	}
}

// Keys of what annotate attaches to a request for the backend.
type (
	spanKey     struct{} // its span
	encodingKey struct{}
)

// annotate gives each request a span (in the trace of a valid traceparent
// header, or in a new one), whose trace id is also the request id of the answer,
// hands on what the front end does not pass to its backend, and logs the request
// at debug level, without its query, which may be signed.
func annotate(tracer oteltrace.Tracer, log *slog.Logger) fiber.Handler {
	return func(c fiber.Ctx) error {
		span := beginRequest(tracer, c)
		c.RequestCtx().SetUserValue(spanKey{}, span)
		if c.Query("encoding-type") == "url" {
			c.RequestCtx().SetUserValue(encodingKey{}, true)
		}
		began := time.Now()
		err := c.Next()
		endRequest(span, c)
		if log.Enabled(c.RequestCtx(), slog.LevelDebug) {
			log.DebugContext(c.RequestCtx(), "s3 request", "method", c.Method(), "path", strings.Clone(c.Path()),
				"status", c.Response().StatusCode(), "took", time.Since(began), "trace", span.SpanContext().TraceID())
		}
		return err
	}
}

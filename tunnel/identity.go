package tunnel

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// alpn names the protocol inside the TLS session; a peer without it is refused.
const alpn = "grange/1"

// maxCertificate bounds the certificate a peer may show, in bytes. Ours are
// about 300.
const maxCertificate = 2048

// ErrPeerKey is returned when a peer proves another key than the one dialled.
var ErrPeerKey = errors.New("peer holds another key")

// certificate makes the self-signed certificate that carries key. Its dates and
// names mean nothing: only the key is looked at.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	if len(key) != ed25519.PrivateKeySize {
		return tls.Certificate{}, fmt.Errorf("make certificate: key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "grange"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// peerKeyOf extracts the identity a TLS peer has proved: possession of the
// leaf's key is what the handshake checks, so nothing else in the certificate
// matters.
func peerKeyOf(state tls.ConnectionState) (PublicKey, error) {
	var key PublicKey
	if state.NegotiatedProtocol != alpn {
		return key, fmt.Errorf("peer speaks %q, want %q", state.NegotiatedProtocol, alpn)
	}
	if len(state.PeerCertificates) != 1 {
		return key, fmt.Errorf("peer shows %d certificates, want 1", len(state.PeerCertificates))
	}
	leaf := state.PeerCertificates[0]
	if len(leaf.Raw) > maxCertificate {
		return key, fmt.Errorf("peer certificate has %d bytes, at most %d", len(leaf.Raw), maxCertificate)
	}
	pub, ok := leaf.PublicKey.(ed25519.PublicKey)
	if !ok || len(pub) != len(key) {
		return key, fmt.Errorf("peer key is %T, want ed25519", leaf.PublicKey)
	}
	return PublicKey(pub), nil
}

// tlsConfig is the configuration of both ends. With want set, the peer must
// prove that key. Verification by chain is off because there is no authority:
// VerifyConnection, which runs on every handshake, replaces it.
func tlsConfig(cert tls.Certificate, want *PublicKey) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{cert},
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{alpn},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		// Streams carry bulk data: full records from the first byte.
		DynamicRecordSizingDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			got, err := peerKeyOf(state)
			if err != nil {
				return err
			}
			if want != nil && got != *want {
				return fmt.Errorf("want %s, got %s: %w", hex.EncodeToString(want[:]), hex.EncodeToString(got[:]), ErrPeerKey)
			}
			return nil
		},
	}
}

// handshake runs the TLS handshake on raw within timeout and returns the peer's
// proven key. It closes raw when it fails.
func handshake(ctx context.Context, raw net.Conn, client bool, conf *tls.Config, timeout time.Duration) (*tls.Conn, PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn := tls.Server(raw, conf)
	if client {
		conn = tls.Client(raw, conf)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, PublicKey{}, fmt.Errorf("shake hands with %s: %w", raw.RemoteAddr(), err)
	}
	key, err := peerKeyOf(conn.ConnectionState())
	if err != nil {
		raw.Close()
		return nil, PublicKey{}, err
	}
	return conn, key, nil
}

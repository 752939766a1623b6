package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Endpoints is what a client needs to reach a running network: the content of
// endpoints.json.
type Endpoints struct {
	ChainID string `json:"chain_id"`
	RPC     string `json:"rpc"`    // CometBFT RPC, http URL
	REST    string `json:"rest"`   // grpc-gateway, http URL
	GRPC    string `json:"grpc"`   // host:port, no TLS
	Status  string `json:"status"` // status page, http URL
	// Explorer is the explorer's API and web app, http URL.
	Explorer string `json:"explorer"`
	// Verify serves the published epochs, http URL; see verify.Handler.
	Verify string `json:"verify"`
	// Notary is the door of the notaries, http URL; empty without them.
	Notary string `json:"notary,omitempty"`
	// Data takes observations in and gives them out, http URL; MQTT does too,
	// host:port; Station is where a weather console reports, http URL. Empty in a
	// network from before there were any.
	Data    string `json:"data,omitempty"`
	MQTT    string `json:"mqtt,omitempty"`
	Station string `json:"station,omitempty"`
	// NTRIP is where GNSS bases push and rovers pull; nil as above.
	NTRIP *NTRIPDoor `json:"ntrip,omitempty"`
	S3    S3Door     `json:"s3"`
	// Metrics are where each process shows its metrics.
	Metrics []MetricsEndpoint `json:"metrics"`
}

// Public is e without what must not be shown: secret keys and passwords.
func (e Endpoints) Public() Endpoints {
	e.S3.SecretKey = ""
	if e.NTRIP != nil {
		n := *e.NTRIP
		n.BasePassword, n.RoverPassword = "", ""
		e.NTRIP = &n
	}
	return e
}

// S3Door is where and with which keys an S3 client connects.
type S3Door struct {
	URL       string `json:"url"`
	Region    string `json:"region"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// EndpointsPath is where the endpoints of a home directory are.
func EndpointsPath(home string) string { return filepath.Join(home, "endpoints.json") }

// LoadEndpoints reads the endpoints of a home directory, or returns
// ErrNoNetwork.
func LoadEndpoints(home string) (Endpoints, error) {
	var e Endpoints
	path := EndpointsPath(home)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("read %s: %w", path, ErrNoNetwork)
	}
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("read %s: %w", path, err)
	}
	return e, nil
}

// endpoints are those of the plan with the given S3 keys.
func (p *Plan) endpoints(k s3Keys) Endpoints {
	e := Endpoints{
		ChainID:  p.ChainID,
		RPC:      "http://" + p.addr(p.Ports.RPC),
		REST:     "http://" + p.addr(p.Ports.REST),
		GRPC:     p.addr(p.Ports.GRPC),
		Status:   "http://" + p.addr(p.Ports.Status),
		Explorer: "http://" + p.addr(p.Ports.Explorer),
		S3:       S3Door{URL: "http://" + p.addr(p.Ports.S3), Region: p.S3Region, AccessKey: k.Access, SecretKey: k.Secret},
	}
	if p.Ports.Verify != 0 {
		e.Verify = "http://" + p.addr(p.Ports.Verify)
	}
	if p.Notary != nil {
		e.Notary = "http://" + p.addr(p.Notary.Port)
	}
	if s := p.Sensing; s != nil {
		e.Data, e.MQTT, e.Station = p.dataURL(), p.addr(s.MQTT), "http://"+p.addr(s.Station.Port)
	}
	return e
}

// listenAddr is where the network listens on port.
func (p *Plan) listenAddr(port int) string { return net.JoinHostPort(p.Listen, strconv.Itoa(port)) }

// addr is where port is reached from this machine.
func (p *Plan) addr(port int) string {
	host := p.Listen
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// EvidencePath is where the evidence of a home directory is published.
func EvidencePath(home string) string { return filepath.Join(home, "data", "evidence") }

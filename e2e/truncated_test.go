package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/grange-network/grange/e2e/network"
)

// truncatedPut announces size bytes, sends the file, which is shorter, and ends
// its side of the connection. It returns the status of the answer, 0 for none.
func truncatedPut(t *testing.T, n *network.Network, path, file string, size int64) int {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPut, n.S3.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	const unsigned = "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Amz-Content-Sha256", unsigned)
	keys := aws.Credentials{AccessKeyID: n.S3.AccessKey, SecretAccessKey: n.S3.SecretKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), keys, req, unsigned, "s3", n.S3.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(n.S3.URL, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", path, host, size)
	for _, h := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"} {
		fmt.Fprintf(conn, "%s: %s\r\n", h, req.Header.Get(h))
	}
	fmt.Fprint(conn, "\r\n")
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return 0 // it hung up: nothing was acknowledged
	}
	res.Body.Close()
	return res.StatusCode
}

package s3_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tool is a program from the distribution, set up for the door.
type tool struct {
	f    *fixture
	name string
	args []string
	env  []string
	dir  string
}

func (f *fixture) tool(program string) *tool {
	f.t.Helper()
	if testing.Short() {
		f.t.Skip("runs other programs")
	}
	if _, err := exec.LookPath(program); err != nil {
		f.t.Skipf("%s is not installed: apt-get install awscli rclone s3cmd", program)
	}
	dir := f.t.TempDir()
	host := strings.TrimPrefix(f.url, "http://")
	t := &tool{f: f, name: program, dir: dir, env: append(environment(), "HOME="+dir,
		"AWS_ACCESS_KEY_ID="+access, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION="+region,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL="+f.url,
		"RCLONE_CONFIG_G_TYPE=s3", "RCLONE_CONFIG_G_PROVIDER=Other", "RCLONE_CONFIG_G_ENDPOINT="+f.url,
		"RCLONE_CONFIG_G_ACCESS_KEY_ID="+access, "RCLONE_CONFIG_G_SECRET_ACCESS_KEY="+secret,
		"RCLONE_CONFIG_G_REGION="+region, "RCLONE_CONFIG="+filepath.Join(dir, "rclone.conf"),
	)}
	switch program {
	case "aws":
		t.args = []string{"--endpoint-url", f.url}
		config := filepath.Join(dir, "aws.conf")
		f.must(os.WriteFile(config, []byte("[default]\ns3 =\n  signature_version = s3v4\n"), 0o600))
		t.env = append(t.env, "AWS_CONFIG_FILE="+config)
	case "rclone":
		f.must(os.WriteFile(filepath.Join(dir, "rclone.conf"), nil, 0o600))
	case "s3cmd":
		t.args = []string{"--access_key=" + access, "--secret_key=" + secret, "--host=" + host, "--host-bucket=" + host,
			"--no-ssl", "--no-progress", "--region=" + region, "--config=" + filepath.Join(dir, "none")}
		f.must(os.WriteFile(filepath.Join(dir, "none"), []byte("[default]\n"), 0o600))
	}
	return t
}

// environment is this process's without settings for the tools.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "RCLONE_") || strings.Contains(strings.ToLower(v), "_proxy=")
	})
}

// run runs the program and returns its output; it must succeed.
func (t *tool) run(args ...string) string {
	t.f.t.Helper()
	out, err := t.try(args...)
	if err != nil {
		t.f.t.Fatalf("%s %s: %v\n%s", t.name, strings.Join(args, " "), err, out)
	}
	return out
}

func (t *tool) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.f.ctx(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.name, append(t.args[:len(t.args):len(t.args)], args...)...)
	cmd.Env, cmd.Dir = t.env, t.dir
	began := time.Now()
	out, err := cmd.CombinedOutput()
	t.f.t.Logf("%v %s %s", time.Since(began).Round(time.Millisecond), t.name, strings.Join(args, " "))
	return string(out), err
}

func (t *tool) file(name string, data []byte) string {
	t.f.t.Helper()
	path := filepath.Join(t.dir, name)
	t.f.must(os.MkdirAll(filepath.Dir(path), 0o755))
	t.f.must(os.WriteFile(path, data, 0o644))
	return path
}

func (t *tool) sameFile(name string, want []byte) {
	t.f.t.Helper()
	got, err := os.ReadFile(filepath.Join(t.dir, name))
	t.f.must(err)
	if !bytes.Equal(got, want) {
		t.f.t.Fatalf("%s: %s has %d bytes, want %d, or they differ", t.name, name, len(got), len(want))
	}
}

func contains(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
}

// tree is a directory as people have them.
var tree = map[string][]byte{
	"tree/empty":             {},
	"tree/small.txt":         []byte("hello\n"),
	"tree/dir with space/ä.": noise(1, 30_000),
	"tree/a/b/c/deep.bin":    noise(2, 700_000),
	"tree/big.bin":           noise(3, 21<<20),
	"tree/one MiB":           noise(4, 1<<20),
}

func (t *tool) plant() {
	past := time.Now().Add(-time.Hour) // listings show whole seconds only
	for name, data := range tree {
		t.f.must(os.Chtimes(t.file(name, data), past, past))
	}
}

func (t *tool) harvested(dir string) {
	t.f.t.Helper()
	for name, data := range tree {
		t.sameFile(filepath.Join(dir, strings.TrimPrefix(name, "tree/")), data)
	}
}

func TestAWSClient(t *testing.T) {
	f := begin(t)
	aws := f.tool("aws")
	aws.plant()
	aws.run("s3", "sync", "--only-show-errors", "tree", "s3://bucket/t")
	contains(t, aws.run("s3", "ls", "--recursive", "s3://bucket/"), "t/small.txt", "t/dir with space/ä.", "22020096 t/big.bin")
	contains(t, aws.run("s3", "ls", "s3://bucket/t/"), "PRE a/", "PRE dir with space/", "big.bin")
	aws.run("s3", "sync", "--only-show-errors", "s3://bucket/t", "back")
	aws.harvested("back")
	if out := aws.run("s3", "sync", "tree", "s3://bucket/t"); strings.TrimSpace(out) != "" {
		t.Errorf("a second sync copied something: %s", out)
	}
	aws.run("s3", "cp", "--only-show-errors", "s3://bucket/t/big.bin", "s3://bucket/copy.bin")
	aws.run("s3", "mv", "--only-show-errors", "s3://bucket/copy.bin", "s3://bucket/moved.bin")
	f.same("moved.bin", tree["tree/big.bin"])
	sums := 0
	for _, a := range []string{"CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"} {
		out, err := aws.try("s3api", "put-object", "--bucket", "bucket", "--key", "sum-"+a, "--body", "tree/a/b/c/deep.bin", "--checksum-algorithm", a)
		if err != nil && strings.Contains(out, "[crt]") {
			continue // this client lacks the optional library
		}
		if err != nil {
			t.Fatalf("put with %s: %v\n%s", a, err, out)
		}
		sums++
		contains(t, out, "Checksum"+a)
		aws.run("s3api", "get-object", "--bucket", "bucket", "--key", "sum-"+a, "--checksum-mode", "ENABLED", "got")
		aws.sameFile("got", tree["tree/a/b/c/deep.bin"])
	}
	contains(t, aws.run("s3api", "head-object", "--bucket", "bucket", "--key", "t/small.txt"), `"ContentLength": 6`, `text/plain`)
	contains(t, aws.run("s3api", "list-objects-v2", "--bucket", "bucket", "--page-size", "2", "--query", "length(Contents)"), name("%d", sums+len(tree)+1))
	url := strings.TrimSpace(aws.run("s3", "presign", "s3://bucket/t/small.txt"))
	if status, body := f.send("GET", url, nil); status != 200 || string(body) != "hello\n" {
		t.Errorf("presigned url: %d %s", status, body)
	}
	aws.run("s3", "rm", "--only-show-errors", "--recursive", "s3://bucket")
	aws.run("s3", "rb", "s3://bucket")
	f.settled()
}

func TestRcloneClient(t *testing.T) {
	f := begin(t)
	rclone := f.tool("rclone")
	rclone.plant()
	rclone.run("copy", "tree", "g:bucket/t", "--s3-chunk-size", "5M", "--s3-upload-cutoff", "6M")
	contains(t, rclone.run("lsf", "-R", "g:bucket"), "t/small.txt", "t/dir with space/ä.", "t/a/b/c/deep.bin")
	rclone.run("check", "tree", "g:bucket/t", "--download")
	rclone.run("sync", "g:bucket/t", "back")
	rclone.harvested("back")
	rclone.run("copyto", "g:bucket/t/big.bin", "g:bucket/server-side.bin")
	f.same("server-side.bin", tree["tree/big.bin"])
	rclone.run("moveto", "g:bucket/server-side.bin", "g:bucket/moved.bin")
	rclone.run("deletefile", "g:bucket/moved.bin")
	if out := rclone.run("cat", "g:bucket/t/small.txt"); out != "hello\n" {
		t.Errorf("cat: %q", out)
	}
	contains(t, rclone.run("size", "g:bucket"), "Total objects: 6")
	rclone.run("mkdir", "g:second-bucket")
	contains(t, rclone.run("lsd", "g:"), "second-bucket")
	rclone.run("purge", "g:bucket")
	f.settled()
}

func TestS3cmdClient(t *testing.T) {
	f := begin(t)
	s3cmd := f.tool("s3cmd")
	s3cmd.plant()
	s3cmd.run("sync", "--multipart-chunk-size-mb=5", "tree/", "s3://bucket/t/")
	contains(t, s3cmd.run("ls", "-r", "s3://bucket"), "t/small.txt", "t/dir with space/ä.", "t/a/b/c/deep.bin")
	s3cmd.run("sync", "s3://bucket/t/", "back/")
	s3cmd.harvested("back")
	contains(t, s3cmd.run("info", "s3://bucket/t/small.txt"), "File size: 6")
	s3cmd.run("cp", "s3://bucket/t/big.bin", "s3://bucket/copy.bin")
	f.same("copy.bin", tree["tree/big.bin"])
	s3cmd.run("mv", "s3://bucket/copy.bin", "s3://bucket/moved.bin")
	f.same("moved.bin", tree["tree/big.bin"])
	s3cmd.run("modify", "--add-header=Cache-Control: max-age=9", "s3://bucket/t/small.txt")
	f.same("t/small.txt", []byte("hello\n"))
	contains(t, s3cmd.run("du", "s3://bucket"), "objects")
	contains(t, s3cmd.run("mb", "s3://second-bucket"), "created")
	s3cmd.run("rb", "s3://second-bucket")
	s3cmd.run("del", "-r", "--force", "s3://bucket")
	s3cmd.run("rb", "s3://bucket")
	f.settled()
}

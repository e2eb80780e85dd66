package contrib_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

// image is the folder that the Dockerfile makes an image of, and how a container runs in it.
type image struct {
	root         string
	instructions map[string][]string
	uid, gid     uint32
}

// makeImage does what the last stage of the Dockerfile says. The authorities that the image
// trusts are those of the test.
func makeImage(t *testing.T, authorities []byte) image {
	t.Helper()
	m := image{root: t.TempDir(), instructions: dockerfile(t)}
	if _, err := fmt.Sscanf(m.last("USER"), "%d:%d", &m.uid, &m.gid); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	buildAsTold(t, m.instructions, out)
	for _, copied := range m.instructions["COPY"] {
		rest, ok := strings.CutPrefix(copied, "--from=build ")
		if !ok {
			continue
		}
		rest, owned := strings.CutPrefix(rest, fmt.Sprintf("--chown=%d:%d ", m.uid, m.gid))
		from, to, _ := strings.Cut(rest, " ")
		switch from {
		case "/etc/ssl/certs/ca-certificates.crt":
			m.put(t, filepath.Join(to, "ca-certificates.crt"), authorities, 0o644)
		case "/out/webhook-repeater":
			program, err := os.ReadFile(filepath.Join(out, "webhook-repeater"))
			if err != nil {
				t.Fatal(err)
			}
			m.put(t, filepath.Join(to, "webhook-repeater"), program, 0o755)
		case "/data":
			m.folder(t, to, owned)
		default:
			t.Fatalf("it copies %s, which this test does not know", from)
		}
	}
	return m
}

func (m image) last(instruction string) string {
	all := m.instructions[instruction]
	return all[len(all)-1]
}

func (m image) folder(t *testing.T, name string, owned bool) {
	t.Helper()
	path := filepath.Join(m.root, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if owned {
		m.own(t, path)
	}
}

func (m image) own(t *testing.T, path string) {
	t.Helper()
	if err := os.Chown(path, int(m.uid), int(m.gid)); err != nil {
		t.Fatal(err)
	}
}

func (m image) put(t *testing.T, name string, content []byte, mode os.FileMode) string {
	t.Helper()
	m.folder(t, filepath.Dir(name), false)
	path := filepath.Join(m.root, name)
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// run starts what a container of the image does.
func (m image) run(t *testing.T) *proctest.Process {
	t.Helper()
	var entry, args []string
	for instruction, words := range map[string]*[]string{"ENTRYPOINT": &entry, "CMD": &args} {
		if err := json.Unmarshal([]byte(m.last(instruction)), words); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/local/bin/"+entry[0], append(entry[1:], args...)...)
	cmd.Dir, cmd.Env = m.last("WORKDIR"), strings.Fields(m.last("ENV"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root, Credential: &syscall.Credential{Uid: m.uid, Gid: m.gid}}
	return proctest.Run(t, cmd)
}

// TestImage: in what is copied into the image, and with nothing around it, a user without any rights stores,
// and delivers over TLS. Only root may try that.
func TestImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a program a root folder of its own")
	}
	heard := make(chan string, 1)
	dest := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header.Get("Repeater-Id") }))
	defer dest.Close()
	m := makeImage(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: dest.Certificate().Raw}))
	port := testport.Plain(t)
	config := fmt.Sprintf("[server]\nhost = 127.0.0.1\nport = %d\n[admin]\nlisten = off\n[hook:a]\nsrc_path = /a\ndst_host = %s\n", port, dest.URL)
	m.own(t, m.put(t, "/etc/webhook-repeater/config.ini", []byte(config), 0o600))
	p := m.run(t)
	p.Stderr.Await(t, "the line that it listens", func(log string) bool { return strings.Contains(log, `"listening"`) })
	resp, err := http.Post("http://"+net.JoinHostPort("127.0.0.1", fmt.Sprint(port))+"/a", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case id := <-heard:
		if want := resp.Header.Get("Repeater-Id"); resp.StatusCode != http.StatusOK || id != want {
			t.Errorf("answered %s and %q, and %q arrives", resp.Status, want, id)
		}
	case <-time.After(30 * time.Second):
		t.Error("nothing arrives")
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.Code(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, err := os.Stat(filepath.Join(m.root, m.last("VOLUME"), "webhook-repeater.db")); err != nil {
		t.Errorf("the store is not in the volume: %v", err)
	}
}

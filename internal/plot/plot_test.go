package plot_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/plot"
)

// The pictures show what was measured: go run ./internal/plot/draw makes them so.
func TestPicturesAreOfTheData(t *testing.T) {
	for name, draw := range plot.Files {
		path := filepath.Join("../../docs/performance", name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		svg, err := draw(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kept, err := os.ReadFile(strings.TrimSuffix(path, ".csv") + ".svg")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(svg), string(kept)); diff != "" {
			t.Errorf("%s is not what its picture shows (-data +picture):\n%s", name, diff)
		}
		wellFormed(t, svg)
	}
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Each value stands where the scales put it.
func TestPlaces(t *testing.T) {
	svg, err := plot.Files["backlog.csv"](strings.NewReader("# a comment\nwaiting,heap_mib,disk_mib\n0,0,0\n500000,1,50\n1000000,2,100\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`points="64.0,202.0 337.0,127.0 610.0,52.0"`, ">1,000,000<", ">heap, MiB<", ">disk, MiB<",
	} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("no %s in\n%s", want, svg)
		}
	}
}

func TestBadData(t *testing.T) {
	for _, data := range []string{"", "waiting,heap_mib,disk_mib\n", "waiting,disk_mib,heap_mib\n0,0,0\n1,1,1\n", "waiting,heap_mib,disk_mib\n0,0,0\n1,x,1\n"} {
		if _, err := plot.Files["backlog.csv"](strings.NewReader(data)); err == nil {
			t.Errorf("%q was drawn", data)
		}
	}
}

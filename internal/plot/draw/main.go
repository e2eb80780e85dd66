// Command draw draws the charts in docs/performance anew. Run it at the top of the module, after a change of
// the measurements there:
//
//	go run ./internal/plot/draw
package main

import (
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/webhook-repeater/repeater/internal/plot"
)

const dir = "docs/performance"

func main() {
	log.SetFlags(0)
	for name, draw := range plot.Files {
		in, err := os.Open(filepath.Join(dir, name)) // #nosec G304 -- a name of this module
		if err != nil {
			log.Fatal(err)
		}
		svg, err := draw(in)
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		_ = in.Close()
		out := filepath.Join(dir, strings.TrimSuffix(name, ".csv")+".svg")
		if err := os.WriteFile(out, svg, 0o644); err != nil { // #nosec G306 -- for everybody to see
			log.Fatal(err)
		}
	}
}

// Gen writes docs/configuration.md from the table of keys.
package main

import (
	"log"
	"os"

	"github.com/webhook-repeater/repeater/internal/config"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FILE")
	}
	if err := os.WriteFile(os.Args[1], []byte(config.Reference()), 0o644); err != nil { // #nosec G306 G703 -- a page that anybody may read, where whoever runs this wants it
		log.Fatal(err)
	}
}

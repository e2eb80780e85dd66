// Webhook-repeater accepts webhooks, stores them, and delivers them to where
// they belong, now or when their destination is back. See webhook-repeater -h.
package main

import (
	"os"

	"github.com/webhook-repeater/repeater/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}

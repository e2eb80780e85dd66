package admin

import "net/http"

// Options is what the operator decides about these pages.
type Options struct {
	Token        string // to sign in with
	ShowPayloads bool   // show headers and bodies, secrets included
	Version      string
}

// New serves the pages of src.
func New(src Source, o Options) http.Handler {
	return http.NewCrossOriginProtection().Handler(pages(src, o))
}

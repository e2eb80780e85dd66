package admin

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
)

//go:embed assets
var assetFiles embed.FS

// fileNames are the addresses of our own files, from the overview. Each bears the digest of what is in it, so that
// browsers may keep it for ever.
type fileNames struct{ Style, Script, Icon, IconTrouble string }

var files = fileNames{
	Style:       address("style.css"),
	Script:      address("app.js"),
	Icon:        address("icon.svg"),
	IconTrouble: address("icon-trouble.svg"),
}

func address(name string) string {
	data, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is compiled in
	}
	digest := sha256.Sum256(data)
	return "assets/" + name + "?v=" + hex.EncodeToString(digest[:6])
}

// assets serves the files that pages load, at /assets/. They say nothing of the Repeater.
func assets() http.Handler {
	root, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the name is a constant
	}
	server := http.StripPrefix("/assets/", http.FileServerFS(root))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Path[len("/assets/"):]; !fs.ValidPath(name) || name == "." {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
		w.Header().Set("Cache-Control", "no-cache")
		if r.URL.Query().Has("v") {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		server.ServeHTTP(w, r)
	})
}

package admin

import "net/http"

// pages holds the place of the dashboard, which is being built apart.
func pages(Source, Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "there are no pages yet; the API is under api/v1/")
	})
}

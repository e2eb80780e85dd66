package repeater_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// TestRefusedAreCounted: by the status of their answer; what is accepted is not.
func TestRefusedAreCounted(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	rp := door(t, q,
		repeater.Route("POST /signed", "http://a.example", repeater.Verify(repeater.GitHub("secret"))),
		repeater.Route("/inside", "http://a.example", repeater.AllowFrom("10.0.0.0/8")),
		repeater.Route("/open", "http://a.example"), repeater.WithMaxBody(10))
	for _, tt := range []struct {
		method, path string
		length       int64
		want         int
	}{
		{"POST", "/signed", 0, 401}, {"POST", "/signed", 0, 401}, {"GET", "/signed", 0, 405}, {"POST", "/inside", 0, 403},
		{"POST", "/nowhere", 0, 404}, {"POST", "/open", 11, 413}, {"POST", "/open", 0, 200},
	} {
		w := try(rp, tt.method, tt.path, func(r *http.Request) {
			if tt.length > 0 {
				r.ContentLength = tt.length
			}
		})
		wantStatus(t, w, tt.want)
	}
	want := map[int]int64{401: 2, 403: 1, 404: 1, 405: 1, 413: 1}
	if diff := cmp.Diff(want, rp.Refused()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

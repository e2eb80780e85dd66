package repeater_test

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/webhook-repeater/repeater"
)

// Admin stands beside the door for webhooks, under a prefix, and behind a token.
func ExampleRepeater_Admin() {
	dir, err := os.MkdirTemp("", "repeater")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	rp := repeater.New(
		repeater.Route("/hooks/jira", "http://127.0.0.1:1/down"),
		repeater.WithFile(filepath.Join(dir, "repeater.db")),
	)
	defer rp.Close()

	const token = "what openssl rand -base64 32 has printed"
	mux := http.NewServeMux()
	mux.Handle("/hooks/", rp)
	mux.Handle("/admin/", http.StripPrefix("/admin", rp.Admin(repeater.AdminToken(token))))
	app := httptest.NewServer(mux)
	defer app.Close()
	resp, err := http.Post(app.URL+"/hooks/jira", "text/plain", strings.NewReader("hello"))
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()

	req, err := http.NewRequest(http.MethodGet, app.URL+"/admin/api/v1/messages/"+resp.Header.Get("Repeater-Id"), nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if resp, err = http.DefaultClient.Do(req); err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var told struct {
		Messages []struct{ Lane, Status, Next string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&told); err != nil {
		log.Fatal(err)
	}
	for _, m := range told.Messages {
		fmt.Printf("%s, %s\n%s\n", m.Lane, m.Status, m.Next)
	}

	// Output:
	// http://127.0.0.1:1, waiting
	// It waits because nobody delivers: Run is not at work in this process, and no other process works the lane.
}

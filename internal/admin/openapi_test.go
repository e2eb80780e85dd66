package admin_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// faultOf reads an OpenAPI document and says what is wrong with it, its references and its schemas.
func faultOf(document []byte) error {
	loader := openapi3.NewLoader()
	d, err := loader.LoadFromData(document)
	if err != nil {
		return err
	}
	return d.Validate(loader.Context)
}

// TestOpenAPI: what is served is OpenAPI by its own rules, and not only what our tests look for in it.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := faultOf(document); err != nil {
		t.Errorf("openapi.json: %v", err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"no version", `"version": "1",`, ``},
		{"a key that there is not", `"operationId": "listLanes",`, `"operationId": "listLanes", "respnses": {},`},
		{"one id for two", `"operationId": "listLanes"`, `"operationId": "getLane"`},
		{"an answer without a description", `"description": "The lanes.",`, ``},
		{"a type that there is not", `"type": "boolean"`, `"type": "bool"`},
		{"a reference to nothing", `"#/components/schemas/Lane"`, `"#/components/schemas/Line"`},
		{"a parameter nowhere", `"in": "query"`, `"in": "querry"`},
		{"a path with a parameter of another name", `"/api/v1/messages/{id}"`, `"/api/v1/messages/{key}"`},
		{"security of no scheme", `"session": []`, `"sesion": []`},
	} {
		broken := bytes.Replace(document, []byte(tt.old), []byte(tt.new), 1)
		if bytes.Equal(broken, document) {
			t.Errorf("%s: there is no %s to break", tt.name, tt.old)
		} else if faultOf(broken) == nil {
			t.Errorf("%s: it is not noticed", tt.name)
		}
	}
}

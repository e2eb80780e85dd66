package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMistakes(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // without the hook that follows the text
	}{
		{"unknown key", "[app]\nbackof_timeout = 1\n",
			`config.ini:2: [app] unknown key "backof_timeout"; did you mean "backoff_timeout"?`},
		{"unknown key of a hook", "[hook:b]\nsrc_path = /b\ndst_hots = http://h\ndst_host = http://h\n",
			`config.ini:3: [hook:b] unknown key "dst_hots"; did you mean "dst_host"?`},
		{"unknown key, no neighbour", "[log]\nverbosity = 1\n",
			`config.ini:2: [log] unknown key "verbosity"; the keys here are level, format`},
		{"key of another section", "[server]\nredis_host = x\n",
			`config.ini:2: [server] unknown key "redis_host"; it belongs under [app]`},
		{"unknown section", "[ap]\n",
			`config.ini:1: unknown section [ap]; did you mean [app]?`},
		{"unknown section, no neighbour", "[database]\n",
			`config.ini:1: unknown section [database]; the sections are [server], [app], [store], [admin], [log] and [hook:NAME]`},
		{"unknown kind of hook", "[hooks:jira]\n",
			`config.ini:1: unknown section [hooks:jira]; did you mean [hook:jira]?`},
		{"hook without colon", "[hook]\n",
			`config.ini:1: unknown section [hook]; did you mean [hook:NAME]?`},
		{"not INI", "[app]\nhunter2\n",
			`config.ini:2: the line is neither a section nor a key; write "key = value"`},
		{"repeated key", "[app]\ntimeout = 1\ntimeout = 2\n",
			`config.ini:3: [app] key "timeout" again; it stands on line 2, keep one`},
		{"repeated section", "[app]\ntimeout = 1\n[app]\ntimeout = x\n",
			"config.ini:3: section [app] again; it begins on line 1, put its keys there\n" +
				`config.ini:4: [app] timeout "x" is not a duration; write seconds, as "5" or "0.5", or a unit, as "500ms", "90s", "5m" or "1h"`},
		{"continuation", "[server]\nhost = ::1\n  port = 80\n",
			`config.ini:3: [server] the indented line continues the value of host; begin a key at the beginning of its line`},
		{"empty value", "[app]\nsecret =\n",
			`config.ini:2: [app] secret is empty; give it a value or delete the line`},

		{"port", "[server]\nport = 80x\n",
			`config.ini:2: [server] port "80x" is not possible; write a number from 0 to 65535`},
		{"port out of range", "[server]\nport = 65536\n",
			`config.ini:2: [server] port "65536" is not possible; write a number from 0 to 65535`},
		{"host with port", "[server]\nhost = localhost:80\n",
			`config.ini:2: [server] host "localhost:80" is not a host; write an address or a name, without scheme and port`},
		{"size", "[server]\nmax_body = 25XB\n",
			`config.ini:2: [server] max_body "25XB" is not a size; write bytes, or a unit, as "64KB", "25MB" or "1GB"`},
		{"size of nothing", "[server]\nmax_body = 0\n",
			`config.ini:2: [server] max_body "0" is nothing at all; write more than 0`},
		{"size too large", "[server]\nmax_body = 9999999999GB\n",
			`config.ini:2: [server] max_body "9999999999GB" is too large; write a smaller size`},
		{"negative duration", "[app]\ntimeout = -5s\n",
			`config.ini:2: [app] timeout "-5s" is negative; write 0 or more`},
		{"endless duration", "[app]\ntimeout = 99999999999999\n",
			`config.ini:2: [app] timeout "99999999999999" is too long; write a shorter duration`},
		{"no duration", "[app]\nbackoff_timeout = 0\n",
			`config.ini:2: [app] backoff_timeout "0" is no time at all; write more than 0`},
		{"level", "[log]\nlevel = warning\n",
			`config.ini:2: [log] level "warning" is not known; write one of debug, info, warn, error`},
		{"format", "[log]\nformat = jsn\n",
			`config.ini:2: [log] format "jsn" is not known; did you mean "json"?`},
		{"a long value on one line", "[log]\nformat = " + strings.Repeat("x", 70) + "\n",
			`config.ini:2: [log] format "` + strings.Repeat("x", 60) + `..." is not known; write one of auto, text, json`},

		{"backoff", "[app]\nbackoff_timeout = 60\nbackoff_max_timeout = 30\n",
			`config.ini:3: [app] backoff_max_timeout 30s is shorter than backoff_timeout 1m0s; make it at least as long`},
		{"two stores", "[store]\nfile = x.db\nredis_url = redis://h\n",
			`config.ini:3: file under [store] and a Redis (lines 2 and 3) are two stores; keep one`},
		{"two kinds of store", "[app]\nredis_host = h\n[store]\nfile = x.db\n",
			`config.ini:4: file under [store] and a Redis (lines 4 and 2) are two stores; keep one`},
		{"two Redises", "[app]\nredis_host = h\n[store]\nredis_url = redis://h\n",
			`config.ini:4: redis_host under [app] and redis_url under [store] (lines 2 and 4) name two stores; keep one`},
		{"redis_db with redis_url", "[app]\nredis_db = 1\n[store]\nredis_url = redis://h\n",
			`config.ini:2: [app] redis_db has no effect without redis_host; write it into redis_url under [store]`},
		{"redis_prefix alone", "[store]\nredis_prefix = x\n",
			`config.ini:2: [store] redis_prefix has no effect without Redis; add redis_url to use Redis, or delete the line`},
		{"redis_prefix", "[store]\nredis_url = redis://h\nredis_prefix = {x}\n",
			`config.ini:3: [store] redis_prefix "{x}" has braces, which Redis Cluster takes for a hash tag; choose other characters`},
		{"redis_url", "[store]\nredis_url = redis://u:hunter2/@h\n",
			`config.ini:2: [store] redis_url is not a Redis URL; write redis://[USER:PASSWORD@]HOST:PORT/DB, with special characters percent-encoded`},

		{"hook without keys", "[hook:b]\n",
			"config.ini:1: [hook:b] has no src_path; write a path, \"/\" for the root\n" +
				`config.ini:1: [hook:b] has no dst_host; write where requests go, as http://HOST:PORT`},
		{"hook with empty keys", "[hook:b]\nsrc_path =\nsrc_host =\ndst_host =\n",
			"config.ini:2: [hook:b] src_path is empty; write a path, \"/\" for the root\n" +
				"config.ini:3: [hook:b] src_host is empty; give it a value or delete the line\n" +
				`config.ini:4: [hook:b] dst_host is empty; write where requests go, as http://HOST:PORT`},
		{"hook without a name", "[hook: ]\nsrc_path = /b\ndst_host = http://h\n",
			`config.ini:1: [hook:] a hook's name has 1 to 255 bytes; write [hook:NAME]`},
		{"hooks of one path", "[hook:b]\nsrc_path = /b\ndst_host = http://h\n[hook:c]\ndst_host = http://h\nsrc_path = b\n",
			`config.ini:6: [hook:c] src_path is that of [hook:b] on line 2; each hook needs its own`},
		{"hooks of one name", "[hook:b]\nsrc_path = /b\ndst_host = http://h\n[hook: b]\nsrc_path = /c\ndst_host = http://h\n",
			`config.ini:4: [hook:b] has the name of the hook on line 1; choose another`},
		{"unclean path", "[hook:b]\nsrc_path = /b//c\ndst_host = http://h\n[hook:c]\nsrc_path = /../c\ndst_host = http://h\n",
			"config.ini:2: [hook:b] src_path \"/b//c\" has an empty, \".\" or \"..\" segment, and such requests are refused; write a path without\n" +
				`config.ini:5: [hook:c] src_path "/../c" has an empty, "." or ".." segment, and such requests are refused; write a path without`},
		{"sender", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nsrc_host = 10.0.0.1, jira.local\n",
			`config.ini:4: [hook:b] src_host names "jira.local", which is neither an address nor a network; write 10.1.2.3 or 10.0.0.0/8`},
		{"sender and a comma", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nsrc_host = 10.0.0.1,\n",
			`config.ini:4: [hook:b] src_host has a comma with nothing next to it; delete the comma`},
		{"no scheme", "[hook:b]\nsrc_path = /b\ndst_host = jira.local:8080\n",
			`config.ini:3: [hook:b] dst_host has no scheme; write http:// or https:// in front of the host`},
		{"other scheme", "[hook:b]\nsrc_path = /b\ndst_host = ftp://user:hunter2@h\n",
			`config.ini:3: [hook:b] dst_host has the scheme "ftp"; write http:// or https://`},
		{"no host", "[hook:b]\nsrc_path = /b\ndst_host = http://:80\n",
			`config.ini:3: [hook:b] dst_host has no host; write http://HOST:PORT`},
		{"bad port", "[hook:b]\nsrc_path = /b\ndst_host = http://h:70000\n",
			`config.ini:3: [hook:b] dst_host has an impossible port; write one from 1 to 65535`},
		{"bad URL with a password", "[hook:b]\nsrc_path = /b\ndst_host = http://u:hunter2/@h\n",
			`config.ini:3: [hook:b] dst_host is not a URL; write http://HOST:PORT, with special characters percent-encoded`},
		{"query in the host", "[hook:b]\nsrc_path = /b\ndst_host = http://h/?token=hunter2\n",
			`config.ini:3: [hook:b] dst_host has a "?" or "#"; put path and query into dst_path`},
		{"destination path", "[hook:b]\nsrc_path = /b\ndst_host = http://h\ndst_path = /100%\n",
			`config.ini:4: [hook:b] dst_path is not a path; percent-encode its special characters`},
		{"space in a query", "[hook:b]\nsrc_path = /b\ndst_host = http://h\ndst_path = /x?token=hunter 2\n",
			`config.ini:4: [hook:b] dst_path has a space in its query; write it as %20`},

		{"concurrency", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nconcurrency = 0\n",
			`config.ini:4: [hook:b] concurrency "0" is not possible; write a number from 1 to 10000`},
		{"concurrency in another lane's way", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nconcurrency = 2\n[hook:c]\nsrc_path = /c\ndst_host = http://H:80/\nconcurrency = 3\n",
			`config.ini:8: [hook:c] concurrency 3 differs from the 2 of [hook:b], which has the same destination; write the same number, or give one of them a lane`},
		{"strict and concurrent", "[app]\nconcurrency = 2\n[hook:b]\nsrc_path = /b\ndst_host = http://h\nstrict = yes\n",
			`config.ini:6: [hook:b] strict contradicts the concurrency 2 of [hook:b], as a strict destination gets one request after the other; keep one of the two`},
		{"order by nothing", "[hook:b]\nsrc_path = /b\ndst_host = http://h\norder_by = X-Issue-Key\n",
			`config.ini:4: [hook:b] order_by "X-Issue-Key" is neither of a header nor of a JSON body; write header:NAME, or json: and a pointer, as json:/issue/key`},
		{"strict", "[app]\nstrict = maybe\n",
			`config.ini:2: [app] strict "maybe" is neither; write yes or no`},
		{"lane", "[app]\nlane = two words\n",
			`config.ini:2: [app] lane "two words" is no name for a lane; write up to 100 characters without spaces`},
		{"attempts", "[app]\nmax_attempts = 0\n",
			`config.ini:2: [app] max_attempts "0" is not possible; write a number from 1 to 1000000, or none`},
		{"statuses", "[app]\nretry_status = 404, 2xx\n",
			`config.ini:2: [app] retry_status "404, 2xx" is no list of statuses; write them with commas between, from 300 to 599, or 4xx for all of a class`},
		{"success", "[app]\nsuccess = all\n",
			`config.ini:2: [app] success "all" is not known; write one of 2xx, any`},
		{"any answer but these", "[app]\nsuccess = any\nretry_status = 404\n",
			`config.ini:3: [app] retry_status has no effect with success = any; keep one of the two`},
		{"header", "[app]\ndedupe = X Delivery\n",
			`config.ini:2: [app] dedupe "X Delivery" is not the name of a header; write one, as X-GitHub-Delivery`},

		{"memory", "[server]\nmax_body = 10MB\naccept_memory = 10MB\n[app]\ndeliver_memory = 10MB\n",
			"config.ini:3: [server] accept_memory has no room for one body of max_body and its headers; make it at least 11534336\n" +
				`config.ini:5: [app] deliver_memory has no room for one body of max_body and its headers; make it at least 11534336`},

		{"unknown sender", "[app]\nverify = gihtub\n",
			`config.ini:2: [app] verify "gihtub" is not known; did you mean "github"?`},
		{"verify alone", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nverify = stripe\n",
			`config.ini:4: [hook:b] verify has no verify_secret; write the secret that you share with stripe`},
		{"verify_secret alone", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nverify_secret = hunter2\n",
			`config.ini:4: [hook:b] verify_secret has no effect without verify; write who sends, as verify = github`},
		{"verify_secret", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nverify = standardwebhooks\nverify_secret = whsec_hunter2!\n",
			`config.ini:5: [hook:b] verify_secret is not as those of standardwebhooks are; copy it from there once more`},
		{"sign_secret", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nsign_secret = hunter2\n",
			`config.ini:4: [hook:b] sign_secret is not "whsec_" and 24 to 64 bytes in base64; make one with "openssl rand -base64 32"`},
		{"encrypt", "[store]\nencrypt = hunter2\n",
			`config.ini:2: [store] encrypt is not one key or more, each 32 bytes in base64, or plain; make one with "openssl rand -base64 32"`},
		{"handshake_secret alone", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nhandshake_secret = hunter2\n",
			`config.ini:4: [hook:b] handshake_secret has no effect without handshake; write who sends, as handshake = meta`},
		{"handshake without its secret", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nhandshake = meta\n",
			`config.ini:4: [hook:b] handshake_secret does not fit handshake meta; meta needs its verify tokens, x its consumer secret, cloudevents its origins or *, and others nothing`},
		{"tls_cert alone", "[server]\ntls_cert = x.crt\n",
			`config.ini:2: [server] tls_cert and tls_key belong together; write both`},
		{"no certificate", "[server]\ntls_cert = /nonexistent/x.crt\ntls_key = x.key\n",
			`config.ini:2: [server] tls_cert and tls_key cannot be used: open /nonexistent/x.crt: no such file or directory; write two files in PEM form`},
		{"dst_tls_key alone", "[app]\ndst_tls_key = x.key\n",
			`config.ini:2: [hook:a] dst_tls_cert and dst_tls_key belong together; write both`},
		{"no authorities", "[app]\ndst_tls_ca = " + os.DevNull + "\n",
			`config.ini:2: [hook:a] dst_tls_ca "` + os.DevNull + `" has no certificate in PEM form`},
		{"disk_floor", "[store]\ndisk_floor = 1GB\nredis_url = redis://h\n",
			`config.ini:2: [store] disk_floor has no effect with Redis; delete the line`},
		{"admin address", "[admin]\nlisten = 8101\n",
			`config.ini:2: [admin] listen "8101" is not an address to listen on; write HOST:PORT, as 127.0.0.1:8101, or off`},
		{"admin port", "[admin]\nlisten = localhost:http\n",
			`config.ini:2: [admin] listen "localhost:http" has no port from 0 to 65535; write HOST:PORT, as 127.0.0.1:8101, or off`},
		{"admin token", "[admin]\ntoken = hunter2\n",
			`config.ini:2: [admin] token is shorter than 16 bytes; make one with "openssl rand -base64 32"`},
		{"admin for everybody", "[admin]\nlisten = 0.0.0.0:8101\n",
			`config.ini:2: [admin] listen lets in others than this machine, and there is no token; write one under [admin], as "openssl rand -base64 32" prints it, or listen on 127.0.0.1`},
		{"admin on no host", "[admin]\nlisten = :8101\n",
			`config.ini:2: [admin] listen ":8101" is not a host; write an address or a name, without scheme and port`},
		{"secret in the environment", "[app]\nsecret = env:REPEATER_TEST_UNSET\n",
			`config.ini:2: [app] secret is to be in the environment variable "REPEATER_TEST_UNSET", which is not set; set it, or write another env:NAME`},
		{"secret in a file", "[store]\nredis_url = file:/nonexistent/url\n",
			`config.ini:2: [store] redis_url is to be in the file "/nonexistent/url": no such file or directory; make it readable, or write another file:PATH`},
		{"verify_secret that is not there", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nverify = stripe\nverify_secret = file:/nonexistent/key\n",
			`config.ini:5: [hook:b] verify_secret is to be in the file "/nonexistent/key": no such file or directory; make it readable, or write another file:PATH`},
		{"verify_secret of a sender that is not known", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nverify = gihtub\nverify_secret = hunter2\n",
			`config.ini:4: [hook:b] verify "gihtub" is not known; did you mean "github"?`},
		{"key that is not there", "[store]\nencrypt = file:/nonexistent/key\n",
			`config.ini:2: [store] encrypt is to be in the file "/nonexistent/key": no such file or directory; make it readable, or write another file:PATH`},
		{"secret in an empty file", "[app]\nsecret = file:" + os.DevNull + "\n",
			`config.ini:2: [app] secret is to be in the file "` + os.DevNull + `", which is empty; write it there`},

		{"all of them, by line", "[app]\nbackoff_timeout = x\nsecrt = hunter2\n[srver]\nport = 1\n",
			`config.ini:2: [app] backoff_timeout "x" is not a duration; write seconds, as "5" or "0.5", or a unit, as "500ms", "90s", "5m" or "1h"` + "\n" +
				`config.ini:3: [app] unknown key "secrt"; did you mean "secret"?` + "\n" +
				`config.ini:4: unknown section [srver]; did you mean [server]?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("config.ini", tt.text+hook)
			if err == nil {
				t.Fatal("no mistake found")
			}
			if diff := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Error("a secret is told")
			}
		})
	}
}

package config

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
)

// FuzzGroup: no text makes the reader panic; what it reads is written as text that it reads back the same, and what it refuses is said.
func FuzzGroup(f *testing.F) {
	onePage, err := os.ReadFile(filepath.Join("testdata", "one-page.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(onePage)
	f.Add([]byte(httpGroup))
	for _, text := range []string{"", "group: pay\n---\ngroup: shop\n", "a: &x {b: *x}", "members: [{name: db1}, db2, [], null]", "group: {}", "group: a\ngroup: b", "\t", "[[[[", "policy: {max_loss: 1e400}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if spec, _, err := LoadGroup("fuzz.yaml", text); (spec == nil) != (err != nil) {
			t.Fatalf("got %v, %v", spec, err)
		}
		spec, source, err := ParseGroup("fuzz.yaml", text)
		if source == nil || (spec == nil) != (err != nil) {
			t.Fatalf("got %v, %v, %v", spec, source, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Fatal("refused without a word")
			}
			return
		}
		written := FormatGroup(spec)
		again, _, err := ParseGroup("written.yaml", written)
		if err != nil || !proto.Equal(spec, again) {
			t.Fatalf("%v\nwritten:\n%s\nread:    %v\nread again: %v", err, written, spec, again)
		}
	})
}

// FuzzArbiterFile: no text makes the reader panic, and what it reads knows itself among the arbiters.
func FuzzArbiterFile(f *testing.F) {
	f.Add([]byte(tenLines))
	f.Add([]byte("node: az-a\narbiters: [az-a]\n"))
	f.Add([]byte("arbiters: {az-a: {zone: [}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, _, err := ParseArbiterFile("fuzz.yaml", text)
		if (file == nil) != (err != nil) {
			t.Fatalf("got %v, %v", file, err)
		}
		if file != nil && file.Self().ID != file.Node {
			t.Fatalf("%q is not among its arbiters", file.Node)
		}
	})
}

// FuzzContexts: what is read is written as text that is read back the same.
func FuzzContexts(f *testing.F) {
	f.Add([]byte("current: prod\ncontexts:\n  prod:\n    addresses: [az-a:7401]\n    tls: {ca: ca.crt, cert: d.crt, key: d.key}\n"))
	f.Add([]byte("contexts: {lab: {addresses: ['127.0.0.1:1'], insecure_plaintext: true}}"))
	f.Add([]byte("contexts: []"))
	f.Fuzz(func(t *testing.T, text []byte) {
		contexts, err := ParseContexts("fuzz.yaml", text)
		if (contexts == nil) != (err != nil) {
			t.Fatalf("got %v, %v", contexts, err)
		}
		if err != nil || len(contexts.Contexts) == 0 {
			return
		}
		written := FormatContexts(contexts)
		again, err := ParseContexts("written.yaml", written)
		if err != nil || string(FormatContexts(again)) != string(written) {
			t.Fatalf("%v\nwritten:\n%s", err, written)
		}
	})
}

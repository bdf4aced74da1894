package ctlogtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// A signed list has the facts of the logs, and its signature verifies.
func TestSignedList(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	plain, err := New(Options{Name: "Plain", URL: "https://plain.example/"})
	must(t, err)
	tiled, err := New(Options{Name: "Tiled", Kind: kindStatic, URL: "https://tiled.example/2027h1/"})
	must(t, err)
	frozen := plain.Info()
	frozen.State, frozen.FinalSize, frozen.FinalRoot = ctwatch.LogReadOnly, 3, ctwatch.Hash{1}
	other := tiled.Info()
	other.Operator, other.State = "Another", ""
	other.IntervalStart = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	other.IntervalEnd = other.IntervalStart.AddDate(0, 6, 0)

	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	list, signature, err := SignedList(key, at, plain.Info(), tiled.Info(), frozen, other)
	must(t, err)
	digest := sha256.Sum256(list)
	must(t, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature))

	// The names and shapes of Google's log_list_schema.json, version 3.
	const want = `{
	"version": "1.0", "log_list_timestamp": "2026-11-23T00:00:00Z",
	"operators": [
		{"name": "ctlogtest", "email": ["ct@operator.invalid"], "logs": [
			{"description": "Plain", "log_id": "ID1", "key": "KEY1", "url": "https://plain.example/", "mmd": 86400,
			 "state": {"usable": {"timestamp": "2025-11-23T00:00:00Z"}}},
			{"description": "Plain", "log_id": "ID1", "key": "KEY1", "url": "https://plain.example/", "mmd": 86400,
			 "state": {"readonly": {"timestamp": "2025-11-23T00:00:00Z",
				"final_tree_head": {"sha256_root_hash": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "tree_size": 3}}}}
		], "tiled_logs": [
			{"description": "Tiled", "log_id": "ID2", "key": "KEY2", "mmd": 60,
			 "submission_url": "https://tiled.example/2027h1/", "monitoring_url": "https://tiled.example/2027h1/",
			 "state": {"usable": {"timestamp": "2025-11-23T00:00:00Z"}}}
		]},
		{"name": "Another", "email": ["ct@operator.invalid"], "logs": [], "tiled_logs": [
			{"description": "Tiled", "log_id": "ID2", "key": "KEY2", "mmd": 60,
			 "submission_url": "https://tiled.example/2027h1/", "monitoring_url": "https://tiled.example/2027h1/",
			 "temporal_interval": {"start_inclusive": "2027-01-01T00:00:00Z", "end_exclusive": "2027-07-01T00:00:00Z"}}
		]}
	]}`
	spell := func(i ctwatch.Log, n string) []string {
		return []string{"ID" + n, i.ID.String(), "KEY" + n, base64.StdEncoding.EncodeToString(i.Key)}
	}
	r := strings.NewReplacer(append(spell(plain.Info(), "1"), spell(tiled.Info(), "2")...)...)
	var got, wanted any
	must(t, json.Unmarshal(list, &got))
	must(t, json.Unmarshal([]byte(r.Replace(want)), &wanted))
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Error(diff)
	}
}

package words_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	api   = pins.Pattern{Name: "api.example.com"}
	cdn   = pins.Pattern{Name: "cdn.example.com", Reach: pins.OneBelow}
	keyA  = pins.FromSPKI([]byte("A"))
	keyB  = pins.FromSPKI([]byte("B"))
	day   = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	later = day.AddDate(0, 1, 0)
	id    = strings.Repeat("3f9a1c22", 8)
	ours  = pins.Action{Do: pins.Approve, If: pins.Ours, Pin: keyA, Role: pins.RoleLeaf, Host: api}
)

// at fills in what most findings have.
func at(f pins.Finding) pins.Finding {
	if f.App == "" {
		f.App = "my app"
	}
	if f.Host == (pins.Pattern{}) {
		f.Host = api
	}
	return f
}

// samples has a finding with each code, and variants that are worded differently.
var samples = []pins.Finding{
	{Code: pins.Accepted, Want: 1},
	{Code: pins.Accepted, Want: 2},
	{Code: pins.VersionUnreadable, Versions: []string{"1.0"}, Detail: "pins.json: line 3: no pin", Have: 1, Do: []pins.Action{
		{Do: pins.ReimportVersion, App: "my app", Version: "1.0"}, {Do: pins.DropVersion, App: "my app", Version: "1.0"},
	}},
	{Code: pins.VersionUnreadable, Versions: []string{"1.0"}, Detail: "pins.json: line 3: no pin.", Have: 3},
	{Code: pins.NoVersion, Do: []pins.Action{{Do: pins.ImportVersion, App: "my app"}}},
	{Code: pins.NotPinned, Do: []pins.Action{{Do: pins.ExportPins, App: "my app"}}},
	{Code: pins.ProbingOff, Do: []pins.Action{{Do: pins.EnableProbing, Host: api}, {Do: pins.ProbeHost, Host: api}}},
	{Code: pins.NotReached, Do: []pins.Action{{Do: pins.ProbeHost, Host: api}}},
	{Code: pins.NoKnownHost, Host: cdn, Do: []pins.Action{{Do: pins.ListEndpoints, Host: cdn}}},
	{Code: pins.NoBackupPin, Versions: []string{"5.2"}, At: pins.AtLeaf, Do: []pins.Action{{Do: pins.Declare, Role: pins.RoleLeaf, Host: api}, {Do: pins.ShipPins}}},
	{Code: pins.NoBackupPin, Versions: []string{"5.2"}, Because: []pins.Finding{
		{Code: pins.KeyUndeclared, Pin: keyA}, {Code: pins.KeyUnapproved, Pin: keyA}, {Code: pins.KeyOutOfUse, Pin: keyA, State: pins.StateRetired},
	}, Do: []pins.Action{{Do: pins.UpdateUsers, App: "my app", Version: "5.3"}, {Do: pins.DropVersion, App: "my app", Version: "5.2"}}},
	{Code: pins.NoBackupPin, Names: []string{"a.cdn.example.com"}, Host: cdn, Versions: []string{"5.2"}, At: pins.AtIssuers, Because: []pins.Finding{
		{Code: pins.KeyRejected, Pin: keyA}, {Code: pins.KeyUnusable, Pin: keyA}, {Code: pins.KeyOtherHosts, Pin: keyA, Scope: []pins.Pattern{cdn}}, {Code: pins.KeyImpossible},
	}, Do: []pins.Action{{Do: pins.Declare, Role: pins.RoleIssuer, Host: cdn}, {Do: pins.ShipPins}}},
	{Code: pins.NoBackupPin, Versions: []string{"5.2"}, Because: []pins.Finding{{Code: pins.KeyImpossible}}, Do: []pins.Action{{Do: pins.ShipPins, Pins: []pins.Pin{keyA, keyB}}}},
	{Code: pins.SinglePin, Versions: []string{"5.2"}},
	{Code: pins.PinsEnd, Versions: []string{"5.2"}, Until: later, Do: []pins.Action{{Do: pins.ReleaseVersion, App: "my app"}}},
	{Code: pins.PinsEnd, Versions: []string{"5.2"}, Until: day, Past: true},
	{Code: pins.CertificateEnds, Address: "192.0.2.1:443", Until: later, Do: []pins.Action{{Do: pins.RenewCert, Pin: keyA, Pins: []pins.Pin{keyB}}}},
	{Code: pins.CertificateEnds, Address: "192.0.2.1:443", Until: day, Past: true, Do: []pins.Action{{Do: pins.RenewCert, Pin: keyA, Role: pins.RoleIssuer}}},
	{Code: pins.CertificateEnds, Address: "192.0.2.1:443", Until: day, Past: true, Do: []pins.Action{{Do: pins.RenewCert}}},
	{Code: pins.ComingRefused, Certificate: id, From: day, Pin: keyA, Versions: []string{"5.2", "5.1"}, Because: []pins.Finding{{Code: pins.KeyUnapproved, Pin: keyA, Host: api}}, Do: []pins.Action{
		{Do: pins.DoNotDeploy, Certificate: id}, ours, {Do: pins.ShipPins, If: pins.Ours, Pins: []pins.Pin{keyA}}, {Do: pins.RejectCert, If: pins.NotOurs, Certificate: id},
	}},
	{Code: pins.ComingRefused, Certificate: id, From: day, Versions: []string{"5.2"}, Do: []pins.Action{{Do: pins.DoNotDeploy, Certificate: id}, {Do: pins.ShowCert, Certificate: id}}},
	{Code: pins.ComingRefused, Certificate: id, From: day, Pin: keyA, Role: pins.RoleIssuer, Versions: []string{"5.2"}, Do: []pins.Action{
		{Do: pins.ShipPins, Pins: []pins.Pin{keyA}}, {Do: pins.DoNotDeploy, Certificate: id, Versions: []string{"5.2"}},
	}},
	{Code: pins.ServedRefused, Address: "192.0.2.1:443", Pin: keyA, Versions: []string{"5.2"}, Because: []pins.Finding{{Code: pins.KeyUnapproved, Pin: keyA, Host: api}}, Do: []pins.Action{
		{Do: pins.ServeKey}, {Do: pins.SuspectIntercept, If: pins.NotOurs}, ours, {Do: pins.ShipPins, If: pins.Ours, Pins: []pins.Pin{keyA}},
	}},
	{Code: pins.ServedRefused, Address: "192.0.2.1:443", Pin: keyA, Role: pins.RoleIssuer, Open: true, Versions: []string{"5.2", "5.1"}, Do: []pins.Action{{Do: pins.ServeKey}}},
	{Code: pins.ServedCompromised, Address: "192.0.2.1:443", Pin: keyA, Do: []pins.Action{{Do: pins.ServeKey, Pins: []pins.Pin{keyB}}}},
	{Code: pins.ServedCompromised, Address: "192.0.2.1:443", Pin: keyA, Do: []pins.Action{{Do: pins.ServeKey, Pins: []pins.Pin{keyA, keyB}, Unpinned: true}, {Do: pins.ActNow}}},
	{Code: pins.ServedRejected, Address: "192.0.2.1:443", Pin: keyA, Certificate: id, Do: []pins.Action{{Do: pins.SuspectIntercept, If: pins.NotOurs}, {Do: pins.NewKey}}},
	{Code: pins.ShippedCompromised, Pin: keyA, Versions: []string{"5.2"}, Do: []pins.Action{{Do: pins.ReleaseVersion, App: "my app", Pin: keyA}}},
	{Code: pins.ShippedCompromised, Pin: keyA, Versions: []string{"5.2", "5.1", "5.0"}},
	{Code: pins.PinsUnusable, Versions: []string{"5.2"}, At: pins.AtSent, Because: []pins.Finding{{Code: pins.PinMisplaced, Pin: keyA, At: pins.AtSent}}},
	{Code: pins.VersionsUnpinned, Versions: []string{"5.2"}},
	{Code: pins.KeyToShip, Pin: keyA, Do: []pins.Action{{Do: pins.ShipPins}, {Do: pins.ReleaseBy, Until: later}}},
	{Code: pins.KeepWhileUnapproved, Pin: keyA},
	{Code: pins.KeepWhileUnapproved, Pin: keyA, State: pins.StateCompromised},
	{Code: pins.KeepForRollback, Pin: keyA, From: day, Until: later},
	{Code: pins.LastProbed, From: day},
	{Code: pins.DocumentWithheld, Detail: string(pins.KeysDiffer), Because: []pins.Finding{{Code: pins.KeysDiffer, Names: []string{"a.example.com", "b.example.com"}}}},
	{Code: pins.DocumentReduced, Detail: string(pins.BelowMinPins)},

	{Code: pins.KeysDiffer, Host: cdn, Names: []string{"a.cdn.example.com", "b.cdn.example.com"}, Do: []pins.Action{{Do: pins.ListHosts, App: "my app"}}},
	{Code: pins.NotApproved, Pin: keyA, State: pins.StateRetired, Do: []pins.Action{{Do: pins.ServeKey}}},
	{Code: pins.NotApproved, Pin: keyA, Certificate: id},
	{Code: pins.NotApproved, Pin: keyA, Do: []pins.Action{ours}},
	{Code: pins.NotApproved, Pin: keyA, Do: []pins.Action{{Do: pins.Declare, If: pins.Ours, Pin: keyA, Role: pins.RoleIssuer, Host: cdn}}},
	{Code: pins.ChainNotKnown},
	{Code: pins.KeyCompromised, Pin: keyA},
	{Code: pins.NoKey, Because: []pins.Finding{{Code: pins.KeysWaiting, Pins: []pins.Pin{keyA}}}, Do: []pins.Action{ours}},
	{Code: pins.BelowMinPins, Have: 1, Want: 2, Do: []pins.Action{{Do: pins.Declare, Role: pins.RoleLeaf, Host: api}}},
	{Code: pins.BelowMinPins, Have: 2, Want: 3, Because: []pins.Finding{{Code: pins.KeysWaiting, Pins: []pins.Pin{keyA, keyB}}}, Do: []pins.Action{{Do: pins.Approve, If: pins.Ours, Pins: []pins.Pin{keyA, keyB}, Host: api}}},
	{Code: pins.NoBackupKey},
	{Code: pins.NotProbed, Because: []pins.Finding{{Code: pins.NotReached, Host: api}}, Do: []pins.Action{{Do: pins.ProbeHost, Host: api}}},

	{Code: pins.KeyImpossible, Detail: "the SHA-256 of nothing"},
	{Code: pins.KeyUndeclared, Pin: keyA, Do: []pins.Action{{Do: pins.Declare, If: pins.Ours, Pin: keyA, Role: pins.RoleLeaf, Host: api}}},
	{Code: pins.KeyUnapproved, Pin: keyA, Do: []pins.Action{ours}},
	{Code: pins.KeyOtherHosts, Pin: keyA, Scope: []pins.Pattern{cdn, {Name: "a.example"}, {Name: "b.example"}, {Name: "c.example"}}},
	{Code: pins.KeyOtherRole, Pin: keyA, Role: pins.RoleLeaf},
	{Code: pins.KeyOtherRole, Pin: keyA, Role: pins.RoleIssuer},
	{Code: pins.KeyOutOfUse, Pin: keyA, State: pins.StateCompromised, Do: []pins.Action{{Do: pins.LeaveOut, Pin: keyA}}},
	{Code: pins.KeyRejected, Pin: keyA, Certificate: id, Do: []pins.Action{
		{Do: pins.LeaveOut, If: pins.NotOurs, Pin: keyA}, ours, {Do: pins.RejectCert, If: pins.Ours, Certificate: id},
	}},
	{Code: pins.KeyUnusable, Pin: keyA},
	{Code: pins.KeysWaiting, Pins: []pins.Pin{keyA}},

	{Code: pins.PinMisplaced, Pin: keyA, At: pins.AtLeaf, Role: pins.RoleIssuer, Do: []pins.Action{{Do: pins.MovePin, Role: pins.RoleIssuer}}},
	{Code: pins.PinMisplaced, Pin: keyA, At: pins.AtIssuers, Role: pins.RoleLeaf, Do: []pins.Action{{Do: pins.MovePin, Role: pins.RoleLeaf}}},
	{Code: pins.KeyUnhashable, Pin: keyA, Algorithm: "Ed25519", Algorithms: []string{"RSA 2048", "ECDSA P-256"}, Do: []pins.Action{{Do: pins.ReplaceKey, Algorithms: []string{"RSA 2048", "ECDSA P-256"}}}},
	{Code: pins.AlgorithmUnknown, Pin: keyA, Algorithms: []string{"RSA 2048", "ECDSA P-256"}},

	{Code: pins.ChainRefused, Versions: []string{"5.2"}, Names: []string{"api.example.com"}, Pins: []pins.Pin{keyB}, Pin: keyA, Open: true},
	{Code: pins.ChainRefused, Versions: []string{"5.2"}, At: pins.AtLeaf, Pins: []pins.Pin{keyB, keyB, keyB, keyB, keyB}, Pin: keyA, Root: "CN=R"},
	{Code: pins.ChainRefused, Versions: []string{"5.2"}, Host: cdn, Names: []string{"a.cdn.example.com"}, At: pins.AtIssuers, Pins: []pins.Pin{keyB}, Pin: keyA},
	{Code: pins.ChainCrashes, Versions: []string{"5.2"}, Pin: keyA, Algorithm: "Ed25519", Algorithms: []string{"RSA 2048", "ECDSA P-256"}},
	{Code: pins.ChainIncomplete, Detail: "x509: unknown authority", Do: []pins.Action{{Do: pins.GiveChain}}},
	{Code: pins.IssuerNotSent, Versions: []string{"5.2"}, Pins: []pins.Pin{keyB}, Do: []pins.Action{{Do: pins.SendIssuer}}},
	{Code: pins.CertificateEnded, Until: day},
	{Code: pins.NoHostConcerned, Names: []string{"shop", "bank"}},
	{Code: pins.NoDatabase},

	{Code: pins.FileUnreadable, Place: "3:14", Detail: "the client ignores the whole file: two <pin-set>"},
	{Code: pins.FileNotPinning, Names: []string{"api.example.com"}},
	{Code: pins.FileNotPinning, Names: []string{"api.example.com"}, Detail: "Line 7: the pins ended on 2025-01-01."},
	{Code: pins.FileRefusesServed, Address: "192.0.2.1:443", Because: []pins.Finding{{Code: pins.ChainUnmatched, Pin: keyA}}},
	{Code: pins.FileRefusesServed, Address: "192.0.2.1:443", Because: []pins.Finding{{Code: pins.ChainCrashes, Pin: keyA, Algorithm: "Ed25519", Algorithms: []string{"RSA 2048"}}}},
	{Code: pins.FileRefusesCompromised, Address: "192.0.2.1:443", Pin: keyA, Do: []pins.Action{{Do: pins.ServeKey}}},
	{Code: pins.FileRefusesComing, Certificate: id, From: day, Pin: keyA, State: pins.StateApproved, Do: []pins.Action{{Do: pins.AddPin, Pin: keyA}}},
	{Code: pins.FileRefusesComing, Certificate: id, From: day, Pin: keyA, State: pins.StateRetired, Do: []pins.Action{{Do: pins.DoNotDeploy, Certificate: id}}},
	{Code: pins.FileRefusesComing, Certificate: id, From: day, Pin: keyA, Do: []pins.Action{{Do: pins.DoNotDeploy, Certificate: id}, ours, {Do: pins.AddPin, If: pins.Ours, Pin: keyA}}},
	{Code: pins.FilePinsEnd, Until: later, Lead: 14 * 24 * time.Hour},
	{Code: pins.FileFewPins, Have: 1, Want: 2},
	{Code: pins.FileNoBackup, At: pins.AtIssuers},
	{Code: pins.ChainUnmatched, Pin: keyA, Role: pins.RoleIssuer},
}

// Each finding reads the same as in the golden file, in a terminal, in Slack and in JSON.
func TestFindingsAreWordedAsInGoldenFile(t *testing.T) {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	var b bytes.Buffer
	for _, f := range samples {
		f = at(f)
		text := words.Finding(f)
		j, err := json.Marshal(words.Problems([]pins.Finding{f})[0])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "== %s\n%s\n", f.Code, text)
		for _, s := range text.Steps {
			fmt.Fprintf(&b, "- %s\n", s)
		}
		fmt.Fprintf(&b, "slack: %s\njson: %s\n\n", text.Render(escape, func(s string) string { return "`" + escape(s) + "`" }), j)
	}
	golden(t, "findings.golden", b.Bytes())
}

// golden fails unless a file has what is given; with -update it is written.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			t.Fatalf("%s:%d: %s\nnow: %s\n(-update writes what is now)", name, i+1, was[i], is[i])
		}
	}
	t.Fatalf("%s has %d lines, and there are %d now (-update writes them)", name, len(was), len(is))
}

// Every code and every verb of package pins has words, and a sample in the golden file.
func TestEveryCodeAndVerbIsWorded(t *testing.T) {
	codes, verbs := make(map[string]bool), make(map[string]bool)
	var sample func(fs ...pins.Finding)
	sample = func(fs ...pins.Finding) {
		for _, f := range fs {
			codes[string(f.Code)] = true
			for _, a := range f.Do {
				verbs[string(a.Do)] = true
			}
			sample(f.Because...)
		}
	}
	sample(samples...)
	for _, a := range planActions {
		verbs[string(a.Do)] = true
	}
	for _, code := range constants(t, "Code") {
		if !codes[code] {
			t.Errorf("no sample has the code %s", code)
		}
		if f := at(pins.Finding{Code: pins.Code(code), Names: []string{"a"}, Detail: "detail"}); words.Finding(f).What == code {
			t.Errorf("the code %s has no words", code)
		}
	}
	for _, verb := range constants(t, "Verb") {
		if !verbs[verb] {
			t.Errorf("no sample has the verb %s", verb)
		}
		if s := words.Steps([]pins.Action{{Do: pins.Verb(verb)}})[0]; strings.EqualFold(s.Text, verb) {
			t.Errorf("the verb %s has no words", verb)
		}
	}
}

// constants lists the values of the constants of a type in package pins.
func constants(t *testing.T, typ string) (out []string) {
	t.Helper()
	files, err := os.ReadDir("../../pins")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), "../../pins/"+file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == typ {
				s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, s)
			}
			return true
		})
	}
	if len(out) == 0 || slices.Contains(out, "") {
		t.Fatalf("constants of %s: %q", typ, out)
	}
	return out
}

// planActions are what is done about plans and events, and not about one finding.
var planActions = []pins.Action{
	{Do: pins.ShipPins, Pins: []pins.Pin{keyA}},
	{Do: pins.OmitPins, Pins: []pins.Pin{keyA, keyB}},
	{Do: pins.ReleaseBy, Until: later},
	{Do: pins.ReleaseBy, Until: day, Past: true},
	{Do: pins.ActNow},
	{Do: pins.RetireKey, Pin: keyA},
	{Do: pins.ServeKey, Pins: []pins.Pin{keyA, keyB}},
	{Do: pins.Approve, If: pins.Ours, Pin: keyA, Host: api, Despite: true},
	{Do: pins.AuthorizeCert, Certificate: id},
	{Do: pins.ShowPlan},
	{Do: pins.ShowPlan, App: "my app"},
}

// What to do besides findings reads the same as in the golden file.
func TestActionsAreWordedAsInGoldenFile(t *testing.T) {
	var b bytes.Buffer
	for _, s := range words.Steps(planActions) {
		fmt.Fprintf(&b, "%s\n", s)
	}
	golden(t, "actions.golden", b.Bytes())
}

// A plan says all that it found, the worst first, then what to do and by when.
func TestWhySaysAllOfAPlan(t *testing.T) {
	p := pins.HostPlan{
		Findings: []pins.Finding{at(pins.Finding{Code: pins.Accepted, Want: 2}), at(pins.Finding{Code: pins.VersionsUnpinned, Versions: []string{"1.0"}})},
		Do:       []pins.Action{{Do: pins.ShipPins, Pins: []pins.Pin{keyA}}, {Do: pins.ReleaseBy, Until: later}},
	}
	want := "Every supported version of my app accepts what api.example.com serves, and has a backup pin. " +
		"Version 1.0 does not pin api.example.com. Ship " + keyA.String() + " in the next version. Release by 2026-12-27."
	if got := words.Why(p); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	j, err := json.Marshal(words.Plans([]pins.HostPlan{p})[0])
	if err != nil || !bytes.HasSuffix(j, []byte(`,"why":`+strconv.Quote(want)+`}`)) {
		t.Errorf("JSON %s, %v", j, err)
	}
}

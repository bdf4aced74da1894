package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"database/sql"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/store"
)

// TestScripts drives the program as people and scripts do. testdata/script/README
// names the commands that scripts have besides those of testscript.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup:         newScriptEnvironment,
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"acme":     scriptACME,
			"exits":    scriptExits,
			"log":      scriptLog,
			"issue":    scriptIssue,
			"final":    scriptFinal,
			"fault":    scriptFault,
			"tree":     scriptTree,
			"verified": scriptVerified,
			"valid":    scriptValid,
			"busyport": scriptBusyPort,
			"keyfile":  scriptKeyFile,
			"prefix":   scriptPrefix,
			"sql":      scriptSQL,
			"newcert":  scriptNewCert,
			"newkey":   scriptNewKey,
			"fill":     scriptFill,
			"serve":    scriptServe,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// A scriptEnvironment is what one script has made.
type scriptEnvironment struct {
	logs map[string]*ctlogtest.Log
	ca   *ctlogtest.CA
	last *ctlogtest.Issued
	sct  []byte // of last

	certs   map[string]scriptCert // by name
	servers map[string]*tlsServer
}

type environmentKey struct{}

func newScriptEnvironment(env *testscript.Env) error {
	// The race detector reports before a program ends: none needs to wait a second
	// at its end.
	env.Setenv("GORACE", "atexit_sleep_ms=10")
	if testing.CoverMode() == "" { // coverage is of this binary
		program, err := built()
		if err != nil {
			return err
		}
		env.Setenv("PATH", filepath.Dir(program)+string(filepath.ListSeparator)+env.Getenv("PATH"))
	}
	// The seed makes the keys of certificates, and so their pins, the same each time.
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Script CA", Seed: "script"})
	if err != nil {
		return err
	}
	env.Values[environmentKey{}] = &scriptEnvironment{logs: make(map[string]*ctlogtest.Log), ca: ca}
	return nil
}

func environmentOf(ts *testscript.TestScript) *scriptEnvironment {
	return ts.Value(environmentKey{}).(*scriptEnvironment)
}

func (w *scriptEnvironment) log(ts *testscript.TestScript, name string) *ctlogtest.Log {
	l := w.logs[name]
	if l == nil {
		ts.Fatalf("there is no log %q", name)
	}
	return l
}

// scriptArgs checks how often and how a command is called.
func scriptArgs(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "exits STATUS PROGRAM ARG...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func scriptLog(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 3, "log NAME KIND ENTRIES")
	w := environmentOf(ts)
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	key, err := ctlogtest.SeededKey("script log " + args[0])
	ts.Check(err)
	l, err := ctlogtest.New(ctlogtest.Options{
		Name: args[0], Kind: ctwatch.LogKind(args[1]), Key: key, Gzip: true, DropPartials: true, Witnesses: true, AutoPublish: true,
	})
	ts.Check(err)
	stop, err := l.Start()
	ts.Check(err)
	ts.Defer(stop)
	ts.Check(l.Fill(n))
	w.logs[args[0]] = l
	ts.Setenv(args[0]+"_URL", l.URL())
	ts.Setenv(args[0]+"_KEY", base64.StdEncoding.EncodeToString(l.Info().Key))
	ts.Setenv(args[0]+"_ID", l.Info().ID.String())
}

func scriptIssue(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "issue LOG NAME...")
	w := environmentOf(ts)
	req := ctlogtest.Request{Names: args[1:]}
	if args[1] == "-again" { // with the key of the last
		if w.last == nil {
			ts.Fatalf("nothing was issued yet")
		}
		req.Names, req.Key = args[2:], w.last.Key.(*ecdsa.PrivateKey)
	}
	var err error
	w.last, err = w.ca.Issue(req)
	ts.Check(err)
	w.sct, _, err = w.log(ts, args[0]).AddPrecert(w.last)
	ts.Check(err)
	ts.Setenv("ID", w.last.ID.String())
	ts.Setenv("PIN", w.last.LeafPin.String())
	ts.Setenv("ISSUER_PIN", w.last.IssuerPin.String())
}

func scriptFinal(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 1, "final LOG")
	w := environmentOf(ts)
	der, err := w.last.Final(w.sct)
	ts.Check(err)
	_, _, err = w.log(ts, args[0]).AddFinal(w.last, der)
	ts.Check(err)
}

func scriptFault(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "fault LOG altered INDEX | fault LOG wrong-root | fault LOG bad-signature | fault LOG none")
	l := environmentOf(ts).log(ts, args[0])
	switch args[1] {
	case "altered":
		i, err := strconv.ParseUint(args[2], 10, 64)
		ts.Check(err)
		l.SetFault(ctlogtest.AlterEntry(i, nil))
	case "wrong-root":
		l.SetFault(ctlogtest.WrongRoot())
	case "bad-signature":
		l.SetFault(ctlogtest.BadSignature())
	case "none":
		l.ClearFaults()
	default:
		ts.Fatalf("there is no fault %q", args[1])
	}
}

func scriptTree(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "tree LOG DIR")
	ts.Check(environmentOf(ts).log(ts, args[0]).WriteTree(ts.MkAbs(args[1])))
}

func scriptVerified(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "verified DATADIR LOG...")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	path := filepath.Join(ts.MkAbs(args[0]), "ctwatch.db")
	for _, name := range args[1:] {
		ts.Check(untilVerified(ctx, func() error { return nil }, path, environmentOf(ts).log(ts, name)))
	}
}

func scriptValid(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "valid SCHEMA FILE [document | lines | array]")
	schema, err := compileSchema(args[0])
	ts.Check(err)
	body := []byte(ts.ReadFile(args[1]))
	documents := [][]byte{body}
	switch shape := append(args, "document")[2]; shape {
	case "document":
	case "lines":
		documents = bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	case "array":
		documents, err = elements(body)
		ts.Check(err)
	default:
		ts.Fatalf("shape %q", shape)
	}
	for i, d := range documents {
		if err := validate(schema, d); err != nil {
			ts.Fatalf("document %d: %v\n%s", i+1, err, d)
		}
	}
}

func scriptKeyFile(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "keyfile FILE LOG")
	der := environmentOf(ts).log(ts, args[1]).Info().Key
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".der"), der, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
}

func scriptPrefix(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "prefix VARIABLE TEXT LENGTH")
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Setenv(args[0], args[1][:n])
}

func scriptBusyPort(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 1, "busyport VARIABLE")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

func scriptSQL(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "sql DATABASE STATEMENT")
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(strings.Join(args[1:], " "))
	ts.Check(err)
}

// patience is how long tests wait for what must happen. It is far away, since machines
// are busy and nothing is measured by it: only what never happens fails a test.
const patience = 20 * time.Minute

// until polls a condition, less and less often: on a busy machine, polling must not slow
// what it waits for.
func until(ctx context.Context, ok func() (bool, error)) error {
	for pause := 10 * time.Millisecond; ; pause = min(pause*3/2, time.Second) {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// untilVerified waits until all that a log has published is read and verified.
func untilVerified(ctx context.Context, alive func() error, database string, l *ctlogtest.Log) error {
	last := "no database yet"
	err := until(ctx, func() (bool, error) {
		if err := alive(); err != nil {
			return false, err
		}
		db, err := store.OpenReadOnly(ctx, database)
		if err != nil {
			return false, nil
		}
		defer db.Close()
		logs, err := db.Logs.List(ctx)
		if err != nil {
			return false, nil
		}
		head, err := l.Head()
		if err != nil {
			return false, err
		}
		for _, s := range logs {
			if s.ID == l.Info().ID {
				last = fmt.Sprintf("tree size %d, read %d, verified %d, want %d; %s", s.TreeSize, s.Position, s.Verified, head.Size, s.LastError)
				return s.TreeSize == head.Size && s.Position == head.Size && s.Verified == head.Size, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("log %s is not verified (%s): %w", l.Info().Name, last, err)
	}
	return nil
}

// Command gen writes the built-in log list: the facts of a published list whose signature it checks.
// The same list gives the same bytes, in any order.
//
// With -update it adds the facts of a newer list that is not signed, such as Google's list of all
// logs. That list must agree with the signed one about each of its logs. A person must review what
// it adds, in the difference, before it is committed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"ctwatch/ctwatch/loglist"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	list := flags.String("list", loglist.GoogleURL, "URL or `FILE` of the list; its signature is next to it, in .sig")
	sig := flags.String("sig", "", "`FILE` of the signature of a list that is a file, if it is elsewhere")
	key := flags.String("key", "google", "PEM `FILE` of the key that signed the list, or google")
	update := flags.String("update", "", "`FILE` of a newer list without a signature, to bring the facts up to date with")
	out := flags.String("o", "", "`FILE` to write (default stdout)")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "gen: unexpected argument %q\n", flags.Arg(0))
		return 2
	}

	l, err := read(ctx, *list, *sig, *key, slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		fmt.Fprintln(stderr, "gen:", err)
		return 1
	}
	if *update != "" {
		if l, err = updated(l, *update); err != nil {
			fmt.Fprintln(stderr, "gen:", err)
			return 1
		}
	}
	data, err := encode(l)
	if err == nil {
		if *out == "" {
			_, err = stdout.Write(data)
		} else {
			err = os.WriteFile(*out, data, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "gen:", err)
		return 1
	}
	return 0
}

// read returns the list at location, verified.
func read(ctx context.Context, location, sigFile, keySetting string, logger *slog.Logger) (*loglist.List, error) {
	key, err := loglist.LoadKey(keySetting)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, errors.New("want a key: the built-in list must be signed")
	}
	if sigFile == "" {
		source, err := loglist.NewSource(loglist.Config{
			Location: location, Key: key, Logger: logger,
			Client: &http.Client{Timeout: time.Minute}, UserAgent: "ctwatch-snapshot",
		})
		if err != nil {
			return nil, err
		}
		list, _, err := source.Load(ctx)
		return list, err
	}
	data, err := os.ReadFile(location)
	if err != nil {
		return nil, err
	}
	sig, err := os.ReadFile(sigFile)
	if err != nil {
		return nil, err
	}
	if err := loglist.Verify(data, sig, key); err != nil {
		return nil, err
	}
	list, problems, err := loglist.Parse(data)
	for _, p := range problems {
		logger.Warn("Problem in the log list", "log", p.Log, "reason", p.Reason)
	}
	return list, err
}

package loglist

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// logJSON is one log of a list. Those of `logs` have a URL, those of `tiled_logs` a submission
// and a monitoring URL.
type logJSON struct {
	Description   string                     `json:"description"`
	LogID         []byte                     `json:"log_id"`
	Key           []byte                     `json:"key"`
	URL           string                     `json:"url"`
	SubmissionURL string                     `json:"submission_url"`
	MonitoringURL string                     `json:"monitoring_url"`
	MMD           float64                    `json:"mmd"` // seconds
	State         map[string]json.RawMessage `json:"state"`
	Interval      *struct {
		Start time.Time `json:"start_inclusive"`
		End   time.Time `json:"end_exclusive"`
	} `json:"temporal_interval"`
}

// label returns a name of the log for a problem, from what could be read.
func (in *logJSON) label(operator string) string {
	for _, name := range []string{in.Description, in.URL, in.MonitoringURL} {
		if name != "" {
			return ctwatch.Printable(name, maxName)
		}
	}
	return "a log of " + operator
}

// log returns a log of the list. What is wrong, but not needed to read the log, is ignored and
// returned as text.
func (in *logJSON) log(kind ctwatch.LogKind) (log ctwatch.Log, minor []string, err error) {
	log = ctwatch.Log{
		ID: ctwatch.LogIDOf(in.Key), Name: ctwatch.Printable(in.Description, maxName), Kind: kind, Key: in.Key,
	}
	if err := checkLogKey(in.Key); err != nil {
		return log, nil, err
	}
	if !bytes.Equal(in.LogID, log.ID[:]) {
		return log, nil, fmt.Errorf("log_id %s is not the SHA-256 of its key, %s",
			base64.StdEncoding.EncodeToString(in.LogID[:min(len(in.LogID), 32)]), log.ID)
	}
	base := in.URL
	if kind == ctwatch.KindStatic {
		base = in.MonitoringURL
		// Not needed for reading.
		if log.SubmissionURL, err = baseURL(in.SubmissionURL); err != nil {
			minor = append(minor, fmt.Sprintf("submission URL ignored: it %v", err))
		}
	}
	if log.URL, err = baseURL(base); err != nil {
		return log, nil, fmt.Errorf("URL %w", err)
	}
	if log.Name == "" {
		log.Name = log.URL
	}

	if in.MMD >= 0 && in.MMD <= maxMMD.Seconds() {
		log.MMD = time.Duration(in.MMD * float64(time.Second))
	} else {
		minor = append(minor, fmt.Sprintf("merge delay of %g seconds ignored", in.MMD))
	}
	if in.Interval != nil {
		if in.Interval.Start.Before(in.Interval.End) {
			log.IntervalStart, log.IntervalEnd = in.Interval.Start.UTC(), in.Interval.End.UTC()
		} else {
			minor = append(minor, "temporal interval ignored: it ends before it starts")
		}
	}
	minor = append(minor, in.state(&log)...)
	return log, minor, nil
}

// maxMMD is far above every merge delay in use, of which the longest is a week.
const maxMMD = 90 * 24 * time.Hour

// states are in the order of preference, for a list that wrongly gives a log several: those
// in which a log accepts entries come first, so that no entry is missed.
var states = [...]string{
	ctwatch.LogUsable, ctwatch.LogQualified, ctwatch.LogReadOnly,
	ctwatch.LogPending, ctwatch.LogRetired, ctwatch.LogRejected,
}

// state reads the state and, for a frozen log, its final tree head.
func (in *logJSON) state(log *ctwatch.Log) (minor []string) {
	for _, s := range states {
		if raw, ok := in.State[s]; ok && log.State == "" {
			log.State = s
			if s == ctwatch.LogReadOnly {
				minor = append(minor, finalHead(log, raw)...)
			}
		}
	}
	if log.State == "" && len(in.State) > 0 {
		minor = append(minor, "state ignored: it is not defined")
	}
	return minor
}

func finalHead(log *ctwatch.Log, raw json.RawMessage) (minor []string) {
	var readonly struct {
		Head *struct {
			Size uint64 `json:"tree_size"`
			Root []byte `json:"sha256_root_hash"`
		} `json:"final_tree_head"`
	}
	switch err := json.Unmarshal(raw, &readonly); {
	case err != nil:
		return []string{fmt.Sprintf("final tree head ignored: %v", err)}
	case readonly.Head == nil:
	case len(readonly.Head.Root) != len(log.FinalRoot):
		return []string{fmt.Sprintf("final tree head ignored: its root has %d bytes", len(readonly.Head.Root))}
	default:
		log.FinalSize, log.FinalRoot = readonly.Head.Size, ctwatch.Hash(readonly.Head.Root)
	}
	return nil
}

// maxLogKey bounds a key, in bytes, and so the cost of checking a signature. An RSA key of
// 4096 bits has 550.
const maxLogKey = 2 << 10

// checkLogKey returns an error if a log may not sign with the key: RFC 6962 §2.1.4 allows
// ECDSA with P-256, and RSA with at least 2048 bits.
func checkLogKey(der []byte) error {
	switch {
	case len(der) == 0:
		return errors.New("it has no key")
	case len(der) > maxLogKey:
		return fmt.Errorf("its key has %d bytes, more than the %d allowed", len(der), maxLogKey)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return fmt.Errorf("reading its key: %w", err)
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return fmt.Errorf("its key is ECDSA %s; logs sign with P-256 or RSA", k.Params().Name)
		}
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return fmt.Errorf("its RSA key has %d bits, fewer than %d", k.N.BitLen(), minRSA)
		}
	default:
		return fmt.Errorf("its key is a %T; logs sign with ECDSA P-256 or RSA", key)
	}
	return nil
}

// baseURL checks a URL to which paths are appended, and returns it with one final slash.
func baseURL(s string) (string, error) {
	if s == "" {
		return "", errors.New("is missing")
	}
	if len(s) > 2000 {
		return "", fmt.Errorf("has %d characters", len(s))
	}
	u, err := url.Parse(s)
	if err != nil {
		// Not %w err: it repeats the whole URL, user and password too.
		return "", errors.New("cannot be parsed")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("has the scheme %q, want http or https", u.Scheme)
	case u.Hostname() == "":
		return "", errors.New("has no host")
	case u.User != nil:
		return "", errors.New("has a user name in it")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("has a query or fragment, where paths must follow")
	}
	return strings.TrimRight(u.String(), "/") + "/", nil
}

// An Extra is a log that is not listed, from the configuration or a command line.
type Extra struct {
	Name          string          // optional: default the URL
	Kind          ctwatch.LogKind // optional: default KindRFC6962
	URL           string          // http or https; for a static log also file
	SubmissionURL string          // optional; for a static log only
	Key           string          // SubjectPublicKeyInfo: its DER in base64, or PEM
}

// Log checks the fields and returns the log. It is usable and has no operator.
func (e Extra) Log() (log ctwatch.Log, err error) {
	name := e.Name
	if name == "" {
		name = e.URL
	}
	wrap := func(err error) error {
		return fmt.Errorf("log %s: %w", ctwatch.Printable(name, maxName), err)
	}
	if log.Key, err = decodeKey(e.Key); err == nil {
		err = checkLogKey(log.Key)
	}
	if err != nil {
		return ctwatch.Log{}, wrap(err)
	}
	log.ID, log.State, log.Kind = ctwatch.LogIDOf(log.Key), ctwatch.LogUsable, e.Kind
	if compromised(log.ID) {
		return ctwatch.Log{}, wrap(fmt.Errorf("its private key is public, so its signatures prove nothing (log ID %s)", log.ID))
	}
	switch log.Kind {
	case "":
		log.Kind = ctwatch.KindRFC6962
	case ctwatch.KindRFC6962, ctwatch.KindStatic:
	default:
		return ctwatch.Log{}, wrap(fmt.Errorf("kind %q, want %s or %s", e.Kind, ctwatch.KindRFC6962, ctwatch.KindStatic))
	}
	if path, ok := strings.CutPrefix(e.URL, "file://"); ok && log.Kind == ctwatch.KindStatic {
		if !strings.HasPrefix(path, "/") {
			return ctwatch.Log{}, wrap(errors.New("URL: want file:// and an absolute path"))
		}
		log.URL = strings.TrimRight(e.URL, "/") + "/"
	} else if log.URL, err = baseURL(e.URL); err != nil {
		return ctwatch.Log{}, wrap(fmt.Errorf("URL %w", err))
	}
	if e.SubmissionURL != "" {
		if log.Kind != ctwatch.KindStatic {
			return ctwatch.Log{}, wrap(errors.New("submission URL: only static logs have one"))
		}
		if log.SubmissionURL, err = baseURL(e.SubmissionURL); err != nil {
			return ctwatch.Log{}, wrap(fmt.Errorf("submission URL %w", err))
		}
	}
	if log.Name = ctwatch.Printable(e.Name, maxName); log.Name == "" {
		log.Name = log.URL
	}
	return log, nil
}

func decodeKey(s string) ([]byte, error) {
	if block, _ := pem.Decode([]byte(s)); block != nil {
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("its key is a PEM %s, want PUBLIC KEY", ctwatch.Printable(block.Type, 40))
		}
		return block.Bytes, nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil {
		return nil, fmt.Errorf("its key is neither base64 nor PEM: %w", err)
	}
	return der, nil
}

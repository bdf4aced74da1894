package loglist

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
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
		if log.SubmissionURL, err = baseURL(in.SubmissionURL, false); err != nil {
			minor = append(minor, fmt.Sprintf("submission URL ignored: it %v", err))
		}
	}
	if log.URL, err = baseURL(base, false); err != nil {
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
		return errors.New("its key is not a SubjectPublicKeyInfo")
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

// baseURL checks a URL that paths are appended to, and ends it in one slash. The error does
// not repeat the URL, which may have a password in it.
func baseURL(s string, file bool) (string, error) {
	if len(s) > 2000 {
		return "", fmt.Errorf("has %d characters; want at most 2000", len(s))
	}
	schemes := []string{"http", "https"}
	if file {
		schemes = append(schemes, "file")
	}
	u, err := ctwatch.ParseURL(s, schemes...)
	switch {
	case err != nil:
		return "", err
	case u.User != nil:
		return "", errors.New("has a user name or password; want a URL without")
	case u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("has a query, where paths must follow; want a URL without")
	case u.Scheme == "file" && u.Host != "":
		return "", errors.New("names a host; want file:/// and an absolute path")
	case u.Scheme == "file":
		return strings.TrimRight(s, "/") + "/", nil
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

// Log checks what was given. The log is usable and has no operator. An error joins
// ctwatch.SettingErrors.
func (e Extra) Log() (ctwatch.Log, error) {
	var wrong ctwatch.Settings
	key, err := decodeKey(e.Key)
	if err == nil {
		err = checkLogKey(key)
	}
	log := ctwatch.Log{Key: key, ID: ctwatch.LogIDOf(key), State: ctwatch.LogUsable, Kind: cmp.Or(e.Kind, ctwatch.KindRFC6962)}
	if err != nil {
		wrong.Wrong("key", "", fmt.Sprintf("is not the public key of a log (%v); want the base64 of a DER SubjectPublicKeyInfo, ECDSA P-256 or RSA of at least %d bits", err, minRSA))
	} else if compromised(log.ID) {
		wrong.Wrong("key", "", fmt.Sprintf("has a private key that is public, so that nothing it signs proves anything (log ID %s); want another log", log.ID))
	}
	if !slices.Contains(ctwatch.LogKinds(), log.Kind) {
		wrong.Wrong("kind", string(e.Kind), fmt.Sprintf("is not known; want %s, %s", ctwatch.KindRFC6962, ctwatch.KindStatic))
	}
	static := log.Kind == ctwatch.KindStatic
	if log.URL, err = baseURL(e.URL, static); err != nil {
		wrong.Wrong("url", "", err.Error())
	}
	if e.SubmissionURL != "" {
		if log.Kind == ctwatch.KindRFC6962 {
			wrong.Wrong("submission_url", "", "is set for a log of kind rfc6962; want it only for kind static")
		} else if log.SubmissionURL, err = baseURL(e.SubmissionURL, false); err != nil {
			wrong.Wrong("submission_url", "", err.Error())
		}
	}
	if log.Name = ctwatch.Printable(e.Name, maxName); log.Name == "" {
		log.Name = log.URL
	}
	if err := wrong.Err(); err != nil {
		return ctwatch.Log{}, err
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

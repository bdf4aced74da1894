package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/user"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/store"
)

// A session gives a command an operator on the store, up to date with the configuration.
type session struct {
	*operator.Operator
	inv     *setup.Inventory
	db      *store.DB
	missing error // why there is no database; nil if there is one
}

// session opens the store for a command that may create it, and calls f.
func (a *app) session(ctx context.Context, f func(*session) error) error {
	return a.sessionFor(ctx, setup.Create, f)
}

// sessionFor opens the store for a command, and calls f.
func (a *app) sessionFor(ctx context.Context, how setup.Access, f func(*session) error) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	s := &session{}
	if s.inv, err = setup.Read(cfg); err != nil {
		return err
	}
	s.db, s.missing, err = s.inv.OpenStore(ctx, s.inv.NewPolicy(), how, a.writing(), func(db *store.DB, empty bool) error {
		s.Operator = s.inv.Operator(db, empty)
		return s.Refresh(ctx)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.db.Close()) }()
	return f(s)
}

// by returns the calling person, for the audit trail.
func (a *app) by() operator.By {
	return operator.By{Name: a.person(), Means: operator.Command}
}

func (a *app) person() string {
	if name, ok := a.LookupEnv("SUDO_USER"); ok && name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return cmp.Or(u.Username, u.Uid)
	}
	name, _ := a.LookupEnv("USER")
	return cmp.Or(name, "unknown")
}

// refusal adds to an operator's refusal what to do on the command line, often a flag.
func refusal(err error) error {
	var e *operator.Error
	if !errors.As(err, &e) {
		return err
	}
	declare := words.Command(pins.Action{Do: pins.Declare, Pin: e.Pin, Role: e.Role, Host: pins.Pattern{Name: "HOST"}})
	switch e.Code {
	case operator.NoReason:
		return usagef("--reason is required, for the audit trail")
	case operator.NoHost:
		if e.Role == pins.RoleIssuer && e.Pin.IsZero() {
			return usagef("--issuer needs --domain: name the hosts whose apps may pin the key of this CA")
		} else if errors.Is(e, pins.ErrUnexpected) {
			return fmt.Errorf("the certificates for %s are unexpected: if the key is yours, name its hosts with --host", e.Pin)
		} else if !e.Pin.IsZero() {
			return fmt.Errorf("no host is known for %s: name its hosts with --host or, for a future key, declare it: %s", e.Pin, declare)
		}
		return usagef("%s has no host name: name the hosts of the key with --domain", cmp.Or(e.Detail, "the certificate"))
	case operator.NoKey:
		return usagef("--issuer takes the certificate, the public key or the pin of a CA, not an ID")
	case operator.NoApps, operator.UnknownApp:
		return &usageError{e}
	case operator.UnknownKey:
		return fmt.Errorf("%w; to list all keys: ctwatch pins list; to declare it before a certificate is issued for it: %s", e, declare)
	case operator.Alarmed:
		return fmt.Errorf("%w. If the key is yours, the certificate was issued without your consent: approve the key with --reason TEXT (add --despite-alarm if its only certificates are unexpected), and reject the certificate. If it is not yours, do not approve it", e)
	case operator.PinsNoHost:
		return fmt.Errorf("%w: %s", e, words.Sentences(e.Why...))
	}
	return err
}

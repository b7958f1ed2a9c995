package admin

import (
	"context"
	"errors"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// CreateToken makes a token; a lifetime of 0 has no end. plain is the token, which is
// shown by this alone.
func (a *Admin) CreateToken(ctx context.Context, name string, readOnly bool, lifetime time.Duration) (plain string, t records.Token, err error) {
	if err := named("name", name); err != nil {
		return "", t, err
	}
	if lifetime < 0 {
		return "", t, invalidf("for", "the token would be over already")
	}
	now := a.now()
	t = records.Token{Name: name, ReadOnly: readOnly}
	if lifetime > 0 {
		t.Expires = now.Add(lifetime)
	}
	plain, t, err = a.records.CreateToken(ctx, t, now)
	if errors.Is(err, records.ErrTaken) {
		return "", t, &Refused{Kind: KindToken, Message: "there is, or was, a token " + name + ", which the audit log may name: choose another name"}
	}
	if err != nil {
		return "", t, err
	}
	return plain, t, a.audit(ctx, "token-create", "", t.Name+" "+access(t))
}

func access(t records.Token) string {
	if t.ReadOnly {
		return "read-only"
	}
	return "full"
}

// RevokeToken ends a token, by its name or its id.
func (a *Admin) RevokeToken(ctx context.Context, name string) (t records.Token, err error) {
	if t, err = a.records.TokenNamed(ctx, name); err == nil {
		err = a.records.RevokeToken(ctx, t.ID, a.now())
	}
	if err != nil {
		return t, missing(err, KindToken, name)
	}
	return t, a.audit(ctx, "token-revoke", "", t.Name)
}

// TokenActor is what the audit log calls who has a token.
func TokenActor(t records.Token) string { return "token " + t.Name }

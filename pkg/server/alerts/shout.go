package alerts

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// shout sends a message by shoutrrr. Its services know no context: one that hangs is
// left behind until its own limit ends it.
func shout(ctx context.Context, target string, m Message) error {
	services := router.ServiceRouter{}
	service, err := services.Locate(target)
	if err != nil {
		return errors.New("no service reads its URL")
	}
	sent := make(chan error, 1)
	go func() {
		params := types.Params{}
		params.SetTitle(m.Subject())
		sent <- service.Send(m.Body(), &params)
	}()
	select {
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", ctx.Err())
	case err := <-sent:
		if err != nil {
			return errors.New(discreet(err.Error(), target))
		}
		return nil
	}
}

var (
	anyURL = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"]+`)
	word   = regexp.MustCompile(`[A-Za-z0-9_]+`)
)

const (
	shortestSecret = 6
	longestReason  = 300
)

// discreet is an error's text without a URL in it, nor any word of the target's:
// services put their tokens in both.
func discreet(text, target string) string {
	text = anyURL.ReplaceAllString(text, "URL")
	_, secret, _ := strings.Cut(target, "://")
	unescaped, err := url.PathUnescape(secret)
	if err != nil {
		unescaped = secret
	}
	for _, w := range word.FindAllString(secret+" "+unescaped, -1) {
		if len(w) >= shortestSecret {
			text = strings.ReplaceAll(text, w, "***")
		}
	}
	text = clean(text)
	if len(text) > longestReason {
		text = strings.ToValidUTF8(text[:longestReason], "") + "…"
	}
	return text
}

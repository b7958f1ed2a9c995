package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// Kinds of targets.
const (
	TargetEmail    = "email"
	TargetWebhook  = "webhook"
	TargetShoutrrr = "shoutrrr"
)

// Message is what a target is told; a webhook gets it as JSON.
type Message struct {
	ID        string    `json:"id"` // of the alert: the same when it is told again, and of its end
	Project   string    `json:"project"`
	ProjectID string    `json:"projectId"`
	Kind      string    `json:"kind"`
	State     string    `json:"state"` // opened, recovered
	Text      string    `json:"text"`
	At        time.Time `json:"at"`
}

// Subject is the message in a few words.
func (m Message) Subject() string {
	if m.State == records.EventRecovered {
		return fmt.Sprintf("[dbacked] %s: recovered (%s)", m.Project, m.Kind)
	}
	return fmt.Sprintf("[dbacked] %s: %s", m.Project, m.Kind)
}

// Body is the message in whole.
func (m Message) Body() string {
	text := m.Text
	if m.State == records.EventRecovered {
		text = "This is over: " + text
	}
	return fmt.Sprintf("Project: %s\n%s\n\n%s, %s\n", clean(m.Project), text, m.State, m.At.UTC().Format(time.RFC3339))
}

// Config is how a target is reached. It holds secrets: [Config.String] has none.
type Config struct {
	Emails []string `json:"emails,omitempty"`
	URL    string   `json:"url,omitempty"`
	// Secret signs what a webhook is sent.
	Secret string `json:"secret,omitempty"`
}

// ParseConfig reads a target's.
func ParseConfig(t records.Target) (c Config, err error) {
	if err := json.Unmarshal([]byte(t.Config), &c); err != nil {
		return c, fmt.Errorf("the target %s cannot be read: remove it, and add it again", t.ID)
	}
	return c, nil
}

// String shows where a target leads, without its secrets: the path of a webhook is
// one, and nearly all of a URL of shoutrrr's.
func (c Config) String() string {
	if len(c.Emails) > 0 {
		return strings.Join(c.Emails, ", ")
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return "a URL"
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Scheme + "://" + u.Host + "/…"
	}
	return u.Scheme + "://…"
}

// GoString keeps %#v from showing more.
func (c Config) GoString() string { return c.String() }

// Check says what is wrong with a target, and how to write it.
func (c Config) Check(kind string) error {
	switch kind {
	case TargetEmail:
		if len(c.Emails) == 0 {
			return errors.New("there is no address to mail to")
		}
		for _, address := range c.Emails {
			if _, err := mail.ParseAddress(address); err != nil {
				return fmt.Errorf("%.200q is no address of mail", address)
			}
		}
		return nil
	case TargetWebhook:
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fmt.Errorf("write the URL of a webhook as https://HOST/PATH, without a user")
		}
		return nil
	}
	scheme, _, _ := strings.Cut(c.URL, ":")
	if scheme == "logger" {
		return fmt.Errorf("shoutrrr's logger: tells nobody; alerts are logged anyway")
	}
	if _, err := (&router.ServiceRouter{}).Locate(c.URL); err != nil { // which names the URL
		return fmt.Errorf("no service of shoutrrr reads this URL: write SERVICE://…, as https://shoutrrr.nickfedor.com says of each service")
	}
	return nil
}

// Sender sends messages to targets.
type Sender struct {
	smtp SMTP
	http *http.Client
}

// NewSender returns a sender whose mails leave by that server.
func NewSender(s SMTP) *Sender {
	return &Sender{smtp: s, http: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: sendLimit / 2},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       sendLimit,
	}}
}

// Send sends a message. Its error shows no secret of the target.
func (s *Sender) Send(ctx context.Context, t records.Target, m Message) error {
	c, err := ParseConfig(t)
	if err != nil {
		return err
	}
	switch t.Kind {
	case TargetEmail:
		err = s.smtp.send(ctx, c.Emails, m)
	case TargetWebhook:
		err = s.post(ctx, c, m)
	case TargetShoutrrr:
		err = shout(ctx, c.URL, m)
	default:
		err = fmt.Errorf("targets of the kind %.20q are not known", t.Kind)
	}
	if err != nil {
		return fmt.Errorf("telling %s %s: %w", t.Kind, c, err)
	}
	return nil
}

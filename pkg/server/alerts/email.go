package alerts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// How a connection to a mail server is encrypted.
const (
	TLSStart = "starttls" // in the clear at first; a server that cannot is not used
	TLSFirst = "tls"      // from the first byte
	TLSNone  = "none"
)

// SMTP is the server that mails leave by.
type SMTP struct {
	Host           string
	Port           int // 0: 587, 465 with TLSFirst, 25 with TLSNone
	TLS            string
	User, Password string // without a user, none is said
	From           string
	Roots          *x509.CertPool // nil: the system's
}

// GoString keeps %#v from showing the password.
func (s SMTP) GoString() string { return s.String() }

// String shows no password.
func (s SMTP) String() string { return net.JoinHostPort(s.Host, fmt.Sprint(s.port())) }

func (s SMTP) port() int {
	switch {
	case s.Port != 0:
		return s.Port
	case s.TLS == TLSFirst:
		return mail.DefaultPortSSL
	case s.TLS == TLSNone:
		return mail.DefaultPort
	}
	return mail.DefaultPortTLS
}

// Check says what is missing to send mails.
func (s SMTP) Check() error {
	switch {
	case s.Host == "":
		return errors.New("mails need a mail server: set DBACKED_SERVER_SMTP_HOST")
	case s.From == "":
		return errors.New("mails need a sender: set DBACKED_SERVER_SMTP_FROM")
	}
	if err := mail.NewMsg().From(s.From); err != nil {
		return fmt.Errorf("DBACKED_SERVER_SMTP_FROM %q is no address", s.From)
	}
	return nil
}

func (s SMTP) send(ctx context.Context, to []string, m Message) error {
	if err := s.Check(); err != nil {
		return err
	}
	text, err := s.compose(to, m)
	if err != nil {
		return err
	}
	var connection net.Conn
	c, err := s.client(func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		connection, err = s.dial(ctx, network, address)
		return connection, err
	})
	if err != nil {
		return err
	}
	// Once connected the library looks at its own limit, not at the context.
	if err := c.DialWithContext(ctx); err != nil {
		if connection != nil {
			_ = connection.Close() // which it leaves open
		}
		return s.discreet(err)
	}
	defer func() { _ = c.Close() }() // what the server took, it took
	if err := c.Send(text); err != nil && !text.IsDelivered() {
		return s.discreet(err)
	}
	return nil
}

func (s SMTP) tls() *tls.Config {
	return &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12, RootCAs: s.Roots}
}

func (s SMTP) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.TLS == TLSFirst {
		return (&tls.Dialer{Config: s.tls()}).DialContext(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (s SMTP) client(dial mail.DialContextFunc) (*mail.Client, error) {
	o := []mail.Option{mail.WithDialContextFunc(dial), mail.WithPort(s.port()), mail.WithTimeout(sendLimit / 2), mail.WithTLSConfig(s.tls()), mail.WithoutNoop(), mail.WithoutRset()}
	switch s.TLS {
	case TLSFirst:
		o = append(o, mail.WithSSL())
	case TLSNone:
		o = append(o, mail.WithTLSPolicy(mail.NoTLS))
	default:
		o = append(o, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if s.User != "" {
		o = append(o, mail.WithUsername(s.User), mail.WithPassword(s.Password), mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover))
	}
	if s.User != "" && s.TLS == TLSFirst { // the library does not see that what it was given is encrypted
		o = append(o, mail.WithOpportunisticSMTPAuth(mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return mail.NewClient(s.Host, o...)
}

func (s SMTP) compose(to []string, m Message) (*mail.Msg, error) {
	text := mail.NewMsg()
	if err := text.From(s.From); err != nil {
		return nil, err
	}
	if err := text.To(to...); err != nil {
		return nil, err
	}
	domain := "dbacked"
	if from := text.GetFrom(); len(from) == 1 {
		_, domain, _ = strings.Cut(from[0].Address, "@")
	}
	text.Subject(clean(m.Subject()))
	text.SetDateWithValue(m.At)
	text.SetMessageIDWithValue(m.ID + "." + m.State + "@" + domain)
	if m.State != records.EventOpened {
		text.SetGenHeader(mail.HeaderInReplyTo, "<"+m.ID+"."+records.EventOpened+"@"+domain+">")
	}
	text.SetGenHeader("Auto-Submitted", "auto-generated")
	text.SetBodyString(mail.TypeTextPlain, m.Body())
	return text, nil
}

// discreet is an error without the password, which a server may repeat as it was told.
func (s SMTP) discreet(err error) error {
	text := clean(err.Error())
	if s.Password != "" {
		encode := base64.StdEncoding.EncodeToString
		for _, secret := range []string{s.Password, encode([]byte(s.Password)), encode([]byte("\x00" + s.User + "\x00" + s.Password))} {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return errors.New(text)
}

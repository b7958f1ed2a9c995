package rest

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// page is a part of a list.
type page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"Say it as after to get the next page. None: this is the last."`
}

// Paging is what a call says of the page that it wants. What is embedded in an
// operation's input is exported: huma gives defaults to nothing else.
type Paging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"The most that a page holds."`
	After string `query:"after" maxLength:"1000" doc:"next of the page before."`
}

// paged shows a list of one more than the page holds, if there are that many.
func paged[T, S any](all []T, limit int, show func(T) S, cursor func(T) string) (*body[page[S]], error) {
	p := page[S]{Items: []S{}}
	if len(all) > limit {
		all = all[:limit]
		p.Next = cursor(all[limit-1])
	}
	for _, one := range all {
		p.Items = append(p.Items, show(one))
	}
	return answered(p)
}

// cursorOf is a place in a list, as an answer says it.
func cursorOf(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.UnixMilli(), 10) + " " + id))
}

func (p Paging) place() (records.Place, error) {
	if p.After == "" {
		return records.Place{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.After)
	millis, id, found := strings.Cut(string(text), " ")
	at, number := strconv.ParseInt(millis, 10, 64)
	if err != nil || number != nil || !found || strings.ContainsRune(id, 0) || strings.ToValidUTF8(id, "") != id {
		return records.Place{}, &admin.Invalid{Field: "after", Message: "after is not what a page gave as next"}
	}
	return records.Place{At: time.UnixMilli(at), ID: id}, nil
}

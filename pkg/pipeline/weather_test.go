package pipeline

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// weather is what a network and a service do to the requests of one run: every
// few requests a fault of any kind, and in two runs of five something that
// stays: an outage, or a right that is missing.
func weather(seed uint64) dbtest.Plan {
	random := rand.New(rand.NewPCG(seed, 2))
	showers := dbtest.Seeded(seed, 3+random.IntN(6))
	var lasting dbtest.Plan
	switch {
	case seed%50 == 49:
		return lastWord()
	case seed%5 == 3:
		lasting = outage(seed/5, random)
	case seed%5 == 4:
		lasting = forbidden(seed/5, random)
	default:
		return showers
	}
	return func(r *http.Request) dbtest.Fault { // under the proxy's lock
		if f := lasting(r); f.Name != "" {
			return f
		}
		return showers(r)
	}
}

// outage does one thing to all requests for a time, or from then on for ever.
func outage(which uint64, random *rand.Rand) dbtest.Plan {
	faults := []dbtest.Fault{
		{Name: "outage: 500", Status: 500, Code: "InternalError"},
		{Name: "outage: 503", Status: 503, Code: "SlowDown", RetryAfter: "0"},
		{Name: "outage: reset", Reset: true},
		{Name: "outage: stall", Stall: true},
		{Name: "outage: deaf", Deaf: true},
		{Name: "outage: lost answers", LoseAnswer: true},
		{Name: "outage: slow", Delay: 50 * time.Millisecond},
	}
	fault, begin, length := faults[which%uint64(len(faults))], random.IntN(40), 2+random.IntN(40)
	if random.IntN(3) == 0 {
		length = 1 << 30
	}
	n := 0
	return func(*http.Request) dbtest.Fault {
		n++
		if n <= begin || n > begin+length {
			return dbtest.Fault{}
		}
		return fault
	}
}

// lastWord is the worst moment: the manifest is stored, the answer is lost, and
// from then on nobody can be asked. The backup is there, though its run must say
// that it failed; it says that this may be so.
func lastWord() dbtest.Plan {
	gone := false
	return func(r *http.Request) dbtest.Fault {
		switch {
		case gone:
			return dbtest.Fault{Name: "gone after the manifest", Reset: true}
		case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifest"):
			gone = true
			return dbtest.Fault{Name: "answer about the manifest lost", LoseAnswer: true}
		}
		return dbtest.Fault{}
	}
}

// forbidden refuses one kind of request, from one of them on.
func forbidden(which uint64, random *rand.Rand) dbtest.Plan {
	rights := []struct {
		name    string
		request func(r *http.Request) bool
	}{
		// The even ones are of even seeds, whose files have parts.
		{"403: begin an upload", func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") }},
		{"403: write a file", func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".dbacked")
		}},
		{"403: write a part", func(r *http.Request) bool { return r.URL.Query().Has("partNumber") }},
		{"403: write the manifest", func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifest")
		}},
		{"403: complete an upload", func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") }},
		{"403: list uploads", func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("uploads") }},
		{"403: list", func(r *http.Request) bool { return r.URL.Query().Has("list-type") }},
		{"403: any", func(*http.Request) bool { return true }},
		{"403: remove", func(r *http.Request) bool { return r.Method == http.MethodDelete }},
		{"403: write the lease", func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/control/")
		}},
	}
	right, begin := rights[which%uint64(len(rights))], random.IntN(2)
	once := random.IntN(4) == 0
	if right.name == "403: any" {
		begin = random.IntN(40)
	}
	n := 0
	return func(r *http.Request) dbtest.Fault {
		if !right.request(r) {
			return dbtest.Fault{}
		}
		n++
		if n <= begin || once && n > begin+1 {
			return dbtest.Fault{}
		}
		return dbtest.Fault{Name: right.name, Status: http.StatusForbidden, Code: "AccessDenied"}
	}
}

package dbtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// Policy is a policy in Amazon's language for whoever sends requests, which a
// FaultProxy enforces where the service behind it does not know its conditions.
// It knows what the project's documented policies use, and no more: a file that
// holds anything else ends the test.
type Policy struct{ statements []statement }

type statement struct {
	Sid, Effect      string
	Action, Resource oneOrMore
	Condition        map[string]map[string]oneOrMore // by operator, by key
}

// oneOrMore is a text or a list of them.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(o))
}

// NewPolicy reads a policy. Each old text in it is replaced by the new one after
// it: "BUCKET", "backups", "PREFIX/NAME", "some/prefix/shop".
func NewPolicy(t testing.TB, file string, oldnew ...string) *Policy {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Version   string
		Statement []statement
	}
	decoder := json.NewDecoder(strings.NewReader(strings.NewReplacer(oldnew...).Replace(string(bytes.TrimSpace(text)))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, s := range document.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" || len(s.Action) == 0 || len(s.Resource) == 0 {
			t.Fatalf("%s: statement %q is not whole", file, s.Sid)
		}
		for operator, keys := range s.Condition {
			for key := range keys {
				if conditions[operator] == nil || !slices.Contains(conditionKeys, key) {
					t.Fatalf("%s: statement %q: the condition %s of %s is not known here", file, s.Sid, operator, key)
				}
			}
		}
	}
	return &Policy{document.Statement}
}

// Denied says which right a request lacks, "" if it is allowed.
func (p *Policy) Denied(r *http.Request) string {
	for _, n := range needs(r) {
		if !p.allows(n) {
			return fmt.Sprintf("%s on %s", n.action, n.resource)
		}
	}
	return ""
}

// Needs are the rights that a request takes, by Amazon's names.
func (*Policy) Needs(r *http.Request) (actions []string) {
	for _, n := range needs(r) {
		actions = append(actions, n.action)
	}
	return actions
}

// Enforce adds the policy to a plan: what it does not allow is answered as
// Amazon S3 does. There, whoever may not list the bucket as a whole is not told
// that an object is missing.
func (p *Policy) Enforce(next Plan) Plan {
	return func(r *http.Request) Fault {
		if denied := p.Denied(r); denied != "" {
			action, resource, _ := strings.Cut(denied, " on ")
			return Fault{
				Name: "denied", Status: http.StatusForbidden, Code: "AccessDenied",
				Message: fmt.Sprintf("User: arn:aws:iam::111122223333:user/agent is not authorized to perform: %s on resource: %q because no identity-based policy allows the %s action", action, resource, action),
			}
		}
		f := next(r)
		bucket, key := object(r)
		if key != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			f.HideMissing = !p.allows(need{action: "s3:ListBucket", resource: arn(bucket, "")})
		}
		return f
	}
}

func (p *Policy) allows(n need) bool {
	allowed := false
	for _, s := range p.statements {
		if !s.matches(n) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s statement) matches(n need) bool {
	like := func(patterns oneOrMore, text string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool { return glob(pattern, text) })
	}
	if !like(s.Action, n.action) || !like(s.Resource, n.resource) {
		return false
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			have, there := n.context[key]
			if !slices.ContainsFunc(values, func(want string) bool { return conditions[operator](have, there, want) }) {
				return false
			}
		}
	}
	return true
}

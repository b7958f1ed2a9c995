package dbtest

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// need is one right that a request takes.
type need struct {
	action, resource string
	context          map[string]string // what conditions ask for
}

// conditionKeys are those that needs fills in.
var conditionKeys = []string{
	"s3:if-none-match", "s3:if-match", "s3:ObjectCreationOperation", "s3:prefix", "s3:object-lock-remaining-retention-days",
}

// conditions say whether what a request has is what a policy wants. Without a
// value only Null is true.
var conditions = map[string]func(have string, there bool, want string) bool{
	"StringEquals": func(have string, there bool, want string) bool { return there && have == want },
	"StringLike":   func(have string, there bool, want string) bool { return there && glob(want, have) },
	"Bool":         func(have string, there bool, want string) bool { return there && strings.EqualFold(have, want) },
	"Null":         func(_ string, there bool, want string) bool { return there == (want == "false") },
	"NumericLessThanEquals": func(have string, there bool, want string) bool {
		a, err := strconv.ParseFloat(have, 64)
		b, err2 := strconv.ParseFloat(want, 64)
		return there && err == nil && err2 == nil && a <= b
	},
}

// glob matches a text with a pattern, in which * is anything and ? one byte.
func glob(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if len(text) < len(head) {
		return false
	}
	for i := range len(head) {
		if head[i] != '?' && head[i] != text[i] {
			return false
		}
	}
	text = text[len(head):]
	if !star {
		return text == ""
	}
	for i := range len(text) + 1 {
		if glob(rest, text[i:]) {
			return true
		}
	}
	return false
}

func arn(bucket, key string) string {
	if key == "" {
		return "arn:aws:s3:::" + bucket
	}
	return "arn:aws:s3:::" + bucket + "/" + key
}

// object takes the path of a request apart.
func object(r *http.Request) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return bucket, key
}

// needs are the rights that Amazon S3 asks for a request.
func needs(r *http.Request) []need {
	bucket, key := object(r)
	q := r.URL.Query()
	if key == "" {
		return []need{bucketNeed(r, bucket, q)}
	}
	name := arn(bucket, key)
	switch {
	case r.Method == http.MethodPut || r.Method == http.MethodPost:
		return writeNeeds(r, name, q)
	case r.Method == http.MethodDelete:
		return deleteNeeds(r, name, q)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return []need{{action: r.Method, resource: name}}
	}
	for _, sub := range []struct{ query, action string }{
		{"uploadId", "s3:ListMultipartUploadParts"},
		{"retention", "s3:GetObjectRetention"},
		{"legal-hold", "s3:GetObjectLegalHold"},
		{"acl", "s3:GetObjectAcl"},
		{"tagging", "s3:GetObjectTagging"},
		{"versionId", "s3:GetObjectVersion"},
	} {
		if q.Has(sub.query) {
			return []need{{action: sub.action, resource: name}}
		}
	}
	return []need{{action: "s3:GetObject", resource: name}}
}

func bucketNeed(r *http.Request, bucket string, q url.Values) need {
	n := need{action: r.Method + " bucket", resource: arn(bucket, "")}
	switch {
	case r.Method == http.MethodPost && q.Has("delete"):
		n = need{action: "s3:DeleteObject", resource: arn(bucket, "*")}
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
	case q.Has("uploads"):
		n.action = "s3:ListBucketMultipartUploads" // Amazon gives it no s3:prefix
	case q.Has("location"):
		n.action = "s3:GetBucketLocation"
	case q.Has("object-lock"):
		n.action = "s3:GetBucketObjectLockConfiguration"
	case q.Has("versioning"):
		n.action = "s3:GetBucketVersioning"
	default:
		n.action = "s3:ListBucket"
		if q.Has("versions") {
			n.action = "s3:ListBucketVersions"
		}
		if q.Has("prefix") {
			n.context = map[string]string{"s3:prefix": q.Get("prefix")}
		}
	}
	return n
}

func deleteNeeds(r *http.Request, name string, q url.Values) []need {
	all := []need{{action: "s3:DeleteObject", resource: name}}
	switch {
	case q.Has("uploadId"):
		all[0].action = "s3:AbortMultipartUpload"
	case q.Has("versionId"):
		all[0].action = "s3:DeleteObjectVersion"
	}
	if strings.EqualFold(r.Header.Get("X-Amz-Bypass-Governance-Retention"), "true") {
		all = append(all, need{action: "s3:BypassGovernanceRetention", resource: name})
	}
	return all
}

// writeNeeds are those of requests that make an object, or begin to.
func writeNeeds(r *http.Request, name string, q url.Values) []need {
	for _, sub := range []struct{ query, action string }{
		{"retention", "s3:PutObjectRetention"}, {"legal-hold", "s3:PutObjectLegalHold"}, {"acl", "s3:PutObjectAcl"}, {"tagging", "s3:PutObjectTagging"},
	} {
		if q.Has(sub.query) {
			return []need{{action: sub.action, resource: name}} // its days are in the body
		}
	}
	put := need{action: "s3:PutObject", resource: name, context: map[string]string{"s3:ObjectCreationOperation": "true"}}
	if q.Has("partNumber") || q.Has("uploads") {
		put.context["s3:ObjectCreationOperation"] = "false"
	}
	for header, key := range map[string]string{"If-None-Match": "s3:if-none-match", "If-Match": "s3:if-match"} {
		if value := r.Header.Get(header); value != "" {
			put.context[key] = value
		}
	}
	all := []need{put}
	if r.Header.Get("If-Match") != "" {
		all = append(all, need{action: "s3:GetObject", resource: name})
	}
	if source, err := url.PathUnescape(r.Header.Get("X-Amz-Copy-Source")); source != "" || err != nil {
		all = append(all, need{action: "s3:GetObject", resource: arn(strings.TrimPrefix(source, "/"), "")})
	}
	if until, err := time.Parse(time.RFC3339, r.Header.Get("X-Amz-Object-Lock-Retain-Until-Date")); err == nil {
		days := math.Ceil(time.Until(until).Hours() / 24)
		all = append(all, need{action: "s3:PutObjectRetention", resource: name, context: map[string]string{
			"s3:object-lock-remaining-retention-days": strconv.FormatFloat(days, 'f', 0, 64),
		}})
	}
	return all
}

package s3

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

const checksumHeader = "X-Amz-Checksum-Sha256"

// newObject is what is said of an object when it is begun.
func (s *Store) newObject(name string) minio.PutObjectOptions {
	encryption, _ := s.options.encryption() // checked by Open
	o := minio.PutObjectOptions{
		ServerSideEncryption: encryption, StorageClass: s.options.StorageClass, UserMetadata: map[string]string{},
	}
	if s.options.Lock.Mode != "" && !control(name) {
		o.Mode = minio.RetentionMode(strings.ToUpper(s.options.Lock.Mode))
		o.RetainUntilDate = time.Now().Add(s.options.Lock.For)
	}
	return o
}

// control tells NAME/control/, the objects that are replaced.
func control(name string) bool {
	elements := strings.SplitN(name, "/", 3)
	return len(elements) == 3 && elements[1] == "control"
}

// sums are the checksums that travel with some bytes.
type sums struct {
	hex    string // SHA-256, part of the request's signature
	sha256 string // the same in base64, for x-amz-checksum-sha256; or ""
	md5    string // base64, for Content-MD5; or ""
}

func (s *Store) sums(p []byte) sums {
	hash := sha256.Sum256(p)
	sum := sums{hex: hex.EncodeToString(hash[:])}
	if s.options.Checksum == MD5 {
		hash := md5.Sum(p)
		sum.md5 = base64.StdEncoding.EncodeToString(hash[:])
	} else {
		sum.sha256 = base64.StdEncoding.EncodeToString(hash[:])
	}
	return sum
}

// joined is the checksum of an object of parts: that of the parts' checksums,
// "-" and their number. It is "" unless every part has one that decode takes.
func joined(parts []part, sum func([]byte) string, decode func(part) ([]byte, error)) string {
	var all []byte
	for _, p := range parts {
		b, err := decode(p)
		if err != nil || len(b) == 0 {
			return ""
		}
		all = append(all, b...)
	}
	return fmt.Sprintf("%s-%d", sum(all), len(parts))
}

// joinedTag is what most services make the ETag of an object of parts.
func joinedTag(parts []part) string {
	return joined(parts, md5Hex, func(p part) ([]byte, error) { return hex.DecodeString(p.tag) })
}

// joinedSum is the object's SHA-256 by the service's reckoning.
func joinedSum(parts []part) string {
	return joined(parts, func(b []byte) string {
		hash := sha256.Sum256(b)
		return base64.StdEncoding.EncodeToString(hash[:])
	}, func(p part) ([]byte, error) { return base64.StdEncoding.DecodeString(p.sum) })
}

func md5Hex(p []byte) string {
	hash := md5.Sum(p)
	return hex.EncodeToString(hash[:])
}

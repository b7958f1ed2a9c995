package bucket

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// metadataLimit bounds a request for credentials: on most machines nobody
// answers at the metadata service's address.
const metadataLimit = 5 * time.Second

// ErrNoCredentials says that none were given, and that none of the ways of
// Amazon's tools leads to some.
var ErrNoCredentials = errors.New("no credentials were found")

func (o Options) credentials(transport *http.Transport) *credentials.Credentials {
	if o.AccessKey != "" {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken)
	}
	client := &http.Client{Timeout: metadataLimit, Transport: transport}
	missing := fmt.Errorf("%w: set %s and %s, or give this machine some in one of the ways of Amazon's tools (environment, shared file, web identity, instance metadata)",
		ErrNoCredentials, o.Names.AccessKey, o.Names.SecretKey)
	return credentials.New(&required{missing: missing, Chain: credentials.Chain{Providers: []credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.FileAWSCredentials{},
		&credentials.IAM{Client: client, Region: o.Region},
	}}})
}

// required is a chain that fails when it finds nothing, where Chain would send
// requests without a signature, which the service refuses for no clear reason.
type required struct {
	credentials.Chain
	missing error
}

func (r *required) Retrieve() (credentials.Value, error) {
	return r.found(r.Chain.Retrieve())
}

func (r *required) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	return r.found(r.Chain.RetrieveWithCredContext(cc))
}

func (r *required) found(v credentials.Value, err error) (credentials.Value, error) {
	if err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
		err = r.missing
	}
	return v, err
}

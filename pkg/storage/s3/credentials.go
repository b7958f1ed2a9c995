package s3

import (
	"errors"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// metadataLimit bounds a request for credentials: on most machines nobody
// answers at the metadata service's address.
const metadataLimit = 5 * time.Second

var errNoCredentials = errors.New("no credentials were found: set DBACKED_S3_ACCESS_KEY_ID and DBACKED_S3_SECRET_ACCESS_KEY, " +
	"or give this machine some in one of the ways of Amazon's tools (environment, shared file, web identity, instance metadata)")

func (o Options) credentials(transport *http.Transport) *credentials.Credentials {
	if o.AccessKey != "" {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken)
	}
	client := &http.Client{Timeout: metadataLimit, Transport: transport}
	return credentials.New(&required{credentials.Chain{Providers: []credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.FileAWSCredentials{},
		&credentials.IAM{Client: client, Region: o.Region},
	}}})
}

// required is a chain that fails when it finds nothing, where Chain would send
// requests without a signature, which the service refuses for no clear reason.
type required struct{ credentials.Chain }

func (r *required) Retrieve() (credentials.Value, error) {
	return found(r.Chain.Retrieve())
}

func (r *required) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	return found(r.Chain.RetrieveWithCredContext(cc))
}

func found(v credentials.Value, err error) (credentials.Value, error) {
	if err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
		err = errNoCredentials
	}
	return v, err
}

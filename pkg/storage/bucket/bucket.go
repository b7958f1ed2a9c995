// Package bucket reaches a bucket of Amazon S3, or of a service that speaks its
// protocol: where it is, as whom, how long a call may take, which errors are tried
// again, and what the service's answers mean. What is kept in the bucket, and under
// which conditions, its users say: the store s3, and the service's files.
//
//	c, err := bucket.Open(bucket.Options{Bucket: "backups", Call: time.Minute, Stall: time.Minute, Names: names})
//	_, err = c.Retry(ctx, "remove", "shop/1/manifest", func(ctx context.Context) error {
//		return c.Core.RemoveObject(ctx, "backups", c.Key("shop/1/manifest"), minio.RemoveObjectOptions{})
//	})
//
// minio-go repeats nothing by itself here: it would not wait as long as the service
// asks for, and would complete an upload twice.
//
// No error holds a secret or the query of an address.
package bucket

import (
	"net/http"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Client makes calls to one bucket. Its methods may be called from several
// goroutines.
type Client struct {
	Core *minio.Core

	options     Options
	transport   *http.Transport
	credentials *credentials.Credentials
}

// Open checks o and makes a client of it. It sends nothing: whether the bucket is
// there, and what may be done in it, the first call tells.
func Open(o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	c := &Client{options: o, transport: transport, credentials: o.credentials(transport)}
	host, secure := o.host()
	c.Core, err = minio.NewCore(host, &minio.Options{
		Creds: c.credentials, Secure: secure, Region: o.Region, BucketLookup: o.lookup(),
		Transport: recorder{transport}, MaxRetries: 1,
	})
	if err != nil {
		transport.CloseIdleConnections()
		return nil, invalid(o.Names.Endpoint, "%q: %v", o.Endpoint, err)
	}
	return c, nil
}

// Close lets go of the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Key is what the service calls an object.
func (c *Client) Key(name string) string {
	if c.options.Prefix == "" {
		return name
	}
	return c.options.Prefix + "/" + name
}

// Name is the inverse of Key.
func (c *Client) Name(key string) string {
	if c.options.Prefix == "" {
		return key
	}
	return key[len(c.options.Prefix)+1:]
}

// Address is an object, or without a name the place of all, for people:
// s3://bucket/prefix/name.
func (c *Client) Address(name string) string {
	a := "s3://" + c.options.Bucket
	if c.options.Prefix != "" {
		a += "/" + c.options.Prefix
	}
	if name != "" {
		a += "/" + name
	}
	return a
}

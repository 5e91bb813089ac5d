package s3

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pinflow/pinflow"
	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a Bucket needs.
type Options struct {
	// URL is s3://bucket/prefix?parameters: endpoint (AWS if it is not given), region, profile, use_path_style, ssetype, kmskeyid and
	// request_checksum_calculation, as Go CDK has them. Credentials are those of the standard chain: environment, shared files, the machine's role.
	URL      string
	ReadOnly bool          // nothing is tried that writes, and nothing can be written
	Timeout  time.Duration // how long a connection may stand still while something is to come or to go; 30 s
	Log      *slog.Logger
	Metrics  prometheus.Registerer

	backoff backoff
}

func (o *Options) setDefaults() {
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.backoff == (backoff{}) {
		o.backoff = backoff{firstDelay, longDelay}
	}
}

// Bucket is a place for objects: a prefix in a bucket. It may be used by several goroutines, and by several processes at a time.
type Bucket struct {
	place
	client   *s3.Client
	close    func()
	readOnly bool
	log      *slog.Logger
	meters   *meters
	backoff  backoff

	partsKeep bool // an upload in parts, too, keeps what is there
	largest   int  // bytes of an object that goes in one piece, if it can go in parts
	partSize  int
	pageSize  int32 // names of a listing that come at a time; 0 for the server's
}

var (
	_ pinflow.Objects    = (*Bucket)(nil)
	_ pinflow.HeadReader = (*Bucket)(nil)
)

// Open opens a place and tries whether a lake can be kept there. What makes no sense, credentials that are not good for it and a server without conditional writes are Invalid
// errors, a bucket that is not there is NotFound, a server that does not answer Unavailable.
func Open(ctx context.Context, o Options) (*Bucket, error) {
	o.setDefaults()
	p, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	c, err := loadConfig(ctx, &p, &o)
	if err != nil {
		return nil, &pinflow.Error{Op: "open lake", On: p.name(), Kind: pinflow.Invalid, Err: err, Hint: "Give region=, and a profile that ~/.aws/config has."}
	}
	if err := haveCredentials(ctx, c); ctx.Err() != nil {
		return nil, p.refusal(ctx, "", ctx.Err())
	} else if err != nil {
		return nil, &pinflow.Error{Op: "open lake", On: p.name(), Kind: pinflow.Invalid, Err: err,
			Hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or keep them in ~/.aws/credentials, or give the machine a role."}
	}
	b := &Bucket{place: p, readOnly: o.ReadOnly, log: o.Log, meters: newMeters(o.Metrics), backoff: o.backoff, largest: largest, partSize: partSize}
	b.client, b.close = newClient(c, &p, b.meters)
	if err := b.try(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// haveCredentials returns an error unless the chain has some.
func haveCredentials(ctx context.Context, c aws.Config) error {
	if c.Credentials == nil {
		return errors.New("there are no credentials")
	}
	if _, err := c.Credentials.Retrieve(ctx); err != nil {
		return errors.New("no credentials are found: " + rootOf(err).Error())
	}
	return nil
}

// rootOf returns the first cause of an error: those around it say which parts of the SDK it went through.
func rootOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// Close frees the connections that are not in use.
func (b *Bucket) Close() error {
	b.close()
	return nil
}

// key is an object's, or a prefix's, in the bucket.
func (b *Bucket) key(name string) *string { return aws.String(b.prefix + name) }

// at is an object's URL, for people.
func (b *Bucket) at(name string) string { return b.name() + "/" + name }

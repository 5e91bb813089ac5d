package s3

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
)

// The parameters of a lake's URL.
const (
	paramEndpoint  = "endpoint"
	paramRegion    = "region"
	paramProfile   = "profile"
	paramPathStyle = "use_path_style"
	paramSSE       = "ssetype"
	paramKMSKey    = "kmskeyid"
	paramChecksum  = "request_checksum_calculation"
)

var params = []string{paramEndpoint, paramRegion, paramProfile, paramPathStyle, paramSSE, paramKMSKey, paramChecksum}

// place is what a URL says.
type place struct {
	bucket    string
	prefix    string   // "", or a path that ends in a slash
	endpoint  *url.URL // nil for AWS
	region    string   // "" for that of the environment
	profile   string   // of the shared configuration; "" for that of the environment
	pathStyle bool     // the bucket stands in the path, not in the host's name
	sse       string   // how the server encrypts objects; "" for the bucket's default
	kmsKey    string
	checksum  bool // a CRC-32C goes with each object
	given     url.Values
}

var bucketName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{1,61}[a-zA-Z0-9]$`)

// parseURL reads a URL of the form s3://bucket/prefix?parameters. No part of one with a secret in it is repeated in the error.
func parseURL(text string) (place, error) {
	fail := func(on string, err error) (place, error) {
		return place{}, &pinflow.Error{Op: "open lake", On: on, Kind: pinflow.Invalid, Err: err, Hint: "A bucket is given as s3://bucket/prefix?endpoint=https://host&region=name; the parameters are " +
			strings.Join(params, ", ") + "."}
	}
	u, err := url.Parse(text)
	if err != nil {
		return fail("", errors.New("its place is no URL"))
	}
	on := (&url.URL{Scheme: u.Scheme, Host: u.Hostname(), Path: u.Path}).String()
	switch {
	case u.Scheme != "s3":
		return fail(on, fmt.Errorf("the scheme is %q, not s3", u.Scheme))
	case u.User != nil:
		return fail(on, errors.New("credentials do not belong in a URL: they are taken from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), ~/.aws or the machine's role"))
	case u.Port() != "":
		return fail(on, errors.New("a bucket has no port: the server is the parameter endpoint"))
	case !bucketName.MatchString(u.Host):
		return fail(on, fmt.Errorf("%q is no bucket's name", u.Host))
	case u.Fragment != "":
		return fail(on, errors.New("a fragment (#…) makes no sense"))
	}
	p := place{bucket: u.Host, checksum: true}
	if dir := strings.Trim(u.Path, "/"); dir != "" {
		if why := badName(dir); why != "" {
			return fail(on, errors.New("the prefix is no path: "+why))
		}
		p.prefix = dir + "/"
	}
	if p.given, err = url.ParseQuery(u.RawQuery); err != nil {
		return fail(on, errors.New("its parameters cannot be read"))
	}
	if err := p.takeParams(); err != nil {
		return fail(on, err)
	}
	return p, nil
}

// takeParams reads the parameters that are given.
func (p *place) takeParams() (err error) {
	for name, values := range p.given {
		switch {
		case !slices.Contains(params, name):
			return fmt.Errorf("there is no parameter %q", name)
		case len(values) > 1:
			return fmt.Errorf("the parameter %s is given %d times", name, len(values))
		case values[0] == "":
			return fmt.Errorf("the parameter %s is empty", name)
		}
	}
	p.region, p.profile, p.sse, p.kmsKey = p.given.Get(paramRegion), p.given.Get(paramProfile), p.given.Get(paramSSE), p.given.Get(paramKMSKey)
	if p.given.Has(paramEndpoint) {
		if p.endpoint, err = parseEndpoint(p.given.Get(paramEndpoint)); err != nil {
			return err
		}
	}
	if p.given.Has(paramPathStyle) {
		if p.pathStyle, err = strconv.ParseBool(p.given.Get(paramPathStyle)); err != nil {
			return fmt.Errorf("%s is true or false", paramPathStyle)
		}
	}
	if p.sse != "" && !slices.Contains([]string{"AES256", "aws:kms", "aws:kms:dsse"}, p.sse) {
		return fmt.Errorf("%s is AES256, aws:kms or aws:kms:dsse", paramSSE)
	}
	if p.kmsKey != "" && !strings.HasPrefix(p.sse, "aws:kms") {
		return fmt.Errorf("%s needs %s=aws:kms", paramKMSKey, paramSSE)
	}
	switch p.given.Get(paramChecksum) {
	case "", "when_supported":
	case "when_required":
		p.checksum = false
	default:
		return fmt.Errorf("%s is when_supported or when_required", paramChecksum)
	}
	return nil
}

// parseEndpoint reads the URL of a server; without a scheme, it is https.
func parseEndpoint(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the endpoint is no URL of a server")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the endpoint's scheme is %q, not http or https", u.Scheme)
	case u.User != nil:
		return nil, errors.New("credentials do not belong in an endpoint")
	}
	return u, nil
}

// String returns the URL: the same text for the same place and parameters.
func (p *place) String() string {
	return p.name() + (&url.URL{RawQuery: p.given.Encode(), ForceQuery: false}).String()
}

// name is the URL without parameters.
func (p *place) name() string {
	return (&url.URL{Scheme: "s3", Host: p.bucket, Path: strings.TrimSuffix("/"+p.prefix, "/")}).String()
}

// badName returns why a name cannot be an object's, "" if it can.
func badName(name string) string {
	switch {
	case !fs.ValidPath(name) || name == ".":
		return "it is not a relative path of plain elements"
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f || r == 0xfffe || r == 0xffff }):
		return "it has a backslash or a control character"
	}
	return ""
}

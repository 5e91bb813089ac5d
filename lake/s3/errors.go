package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/pinflow/pinflow"
)

// Codes of errors that mean something to the protocol.
const (
	codeNoObject = "NoSuchKey"
	codeNoUpload = "NoSuchUpload"
	codeNoRange  = "InvalidRange"
	codeConflict = "ConditionalRequestConflict" // another put of the same name is under way
)

// statusOf returns the HTTP status of an error that is an answer, else 0.
func statusOf(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// codeOf returns the code of an error that is an answer, else "".
func codeOf(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// exists tells whether a condition failed: an object of the name is there, or the one that is read has changed.
func exists(err error) bool { return statusOf(err) == http.StatusPreconditionFailed }

// passing tells the SDK what else is worth another try at once.
func passing(err error) aws.Ternary {
	switch codeOf(err) {
	case codeConflict, "RequestTimeout", "IncompleteBody", "OperationAborted", "XAmzContentSHA256Mismatch", "BadDigest":
		return aws.TrueTernary
	}
	if s := statusOf(err); s == http.StatusTooManyRequests || s == http.StatusRequestTimeout {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// meaning is what an error of the client says.
type meaning struct {
	kind   pinflow.Kind // while the lake is used
	atOpen pinflow.Kind // before it is: what is refused then will be refused again
	why    error
	hint   string
}

const (
	hintKeys = "Check the credentials that are found (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws, or the machine's role), and whether endpoint= names their server."
	hintMay  = "Let the credentials list the bucket and get, put and delete objects under the prefix (s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload)."
	hintHost = "Check that the server runs and that endpoint= is right; servers whose bucket is no part of the host's name need use_path_style=true."
)

// meaningOf finds out what an error of the client says.
func meaningOf(err error) meaning {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return meaningOfSilence(err)
	}
	m := meaning{kind: pinflow.Internal, atOpen: pinflow.Invalid, why: describe(answer, err)}
	status, unavailable := statusOf(err), meaning{kind: pinflow.Unavailable, atOpen: pinflow.Unavailable, why: m.why}
	switch code := answer.ErrorCode(); {
	case code == codeNoObject:
		return meaning{kind: pinflow.NotFound, atOpen: pinflow.NotFound}
	case code == "NotFound": // the SDK's word for a 404 that does not say of what
		return meaning{kind: pinflow.Unavailable, atOpen: pinflow.Unavailable, why: errors.New("an answer that is not S3's (HTTP 404)"), hint: hintHost}
	case code == "NoSuchBucket":
		m.kind, m.atOpen, m.hint = pinflow.Unavailable, pinflow.NotFound, "Make the bucket, or name another one; Pinflow makes none."
	case code == "EntityTooLarge":
		m.kind = pinflow.TooLarge
	case code == "KeyTooLongError" || code == "InvalidURI" || code == "InvalidObjectName":
		m.kind = pinflow.Invalid
	case code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "InvalidToken" || code == "ExpiredToken" || code == "TokenRefreshRequired" || code == "XAdminUserNotFound":
		m.kind, m.hint = pinflow.Unavailable, hintKeys
	case code == "RequestTimeTooSkewed":
		m.kind, m.hint = pinflow.Unavailable, "Set this machine's clock."
	case code == "AuthorizationHeaderMalformed" || code == "PermanentRedirect" || status/100 == 3:
		m.kind, m.hint = pinflow.Unavailable, "Give the bucket's region as region=."
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		m.kind, m.hint = pinflow.Unavailable, hintMay
	case status == http.StatusInsufficientStorage || code == "QuotaExceeded":
		unavailable.hint = "Make room on the server; writing goes on by itself."
		return unavailable
	case status == http.StatusNotImplemented:
		m.kind = pinflow.Invalid
	case status >= 500 || passing(err) == aws.TrueTernary:
		return unavailable
	}
	return m
}

// describe says in one line what the server answered.
func describe(answer smithy.APIError, err error) error {
	text := answer.ErrorCode()
	if m := strings.TrimSpace(answer.ErrorMessage()); m != "" && m != text {
		text += ": " + strings.TrimSuffix(m, ".")
	}
	if s := statusOf(err); s != 0 {
		text += fmt.Sprintf(" (HTTP %d)", s)
	}
	return errors.New(text)
}

// meaningOfSilence is for errors that are no answer.
func meaningOfSilence(err error) meaning {
	m := meaning{kind: pinflow.Unavailable, atOpen: pinflow.Unavailable, why: err}
	var unsent *url.Error
	var operation *smithy.OperationError
	var answer *smithyhttp.ResponseError
	switch {
	case errors.As(err, &unsent):
		m.why = unsent.Err // without the method and the URL, which the caller says
	case errors.As(err, &answer):
		m.why = fmt.Errorf("an answer that is not S3's (HTTP %d)", answer.HTTPStatusCode())
		m.hint = hintHost
	case errors.As(err, &operation):
		m.why = operation.Err
	}
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var badRecord tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		m.atOpen, m.hint = pinflow.Invalid, "Let AWS_CA_BUNDLE name a file with the certificates to trust."
	case errors.As(err, &badRecord) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		m.atOpen, m.hint = pinflow.Invalid, "The server speaks no TLS: give endpoint=http://…"
	case errors.As(err, &dns):
		m.hint = hintHost
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		m.hint = hintHost
	}
	return m
}

// fault wraps an error of the client.
func (b *Bucket) fault(ctx context.Context, op, name string, err error) error {
	var ours *pinflow.Error
	if errors.As(err, &ours) {
		return err
	}
	e := &pinflow.Error{Op: op, On: b.at(name)}
	if gone := ctx.Err(); gone != nil {
		e.Kind, e.Err = pinflow.Unavailable, context.Cause(ctx)
		return e
	}
	m := meaningOf(err)
	e.Kind, e.Err, e.Hint = m.kind, m.why, m.hint
	return e
}

// refusal wraps an error of the client before the lake is used.
func (p *place) refusal(ctx context.Context, what string, err error) error {
	e := &pinflow.Error{Op: "open lake", On: p.name()}
	if p.endpoint != nil {
		e.On += " at " + p.endpoint.String()
	}
	if ctx.Err() != nil {
		e.Kind, e.Err = pinflow.Unavailable, context.Cause(ctx)
		return e
	}
	m := meaningOf(err)
	e.Kind, e.Err, e.Hint = m.atOpen, fmt.Errorf("%s: %w", what, m.why), m.hint
	return e
}

package s3

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/pinflow/pinflow"
)

// unsent is an error of the client when no answer came.
func unsent(cause error) error {
	return &smithy.OperationError{ServiceID: "S3", OperationName: "PutObject", Err: &smithyhttp.RequestSendError{Err: &url.Error{Op: "Put", URL: "http://h/x", Err: cause}}}
}

// answered is an error of the client when the server answered with one.
func answered(status int, code, message string) error {
	return &smithy.OperationError{ServiceID: "S3", OperationName: "PutObject", Err: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
		Err: &smithy.GenericAPIError{Code: code, Message: message}}}
}

func TestMeaning(t *testing.T) {
	dial := func(err error) error { return unsent(&net.OpError{Op: "dial", Net: "tcp", Err: err}) }
	for _, c := range []struct {
		err              error
		kind, atOpen     pinflow.Kind
		why, hint, never string
	}{
		{dial(&net.DNSError{Err: "no such host", Name: "bucket.nowhere", IsNotFound: true}), pinflow.Unavailable, pinflow.Unavailable, "no such host", "use_path_style", "http://h/x"},
		{dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), pinflow.Unavailable, pinflow.Unavailable, "no route to host", "endpoint=", "PutObject"},
		{unsent(errors.New("EOF")), pinflow.Unavailable, pinflow.Unavailable, "EOF", "", "http://h/x"},
		{answered(503, "SlowDown", "Please reduce your request rate."), pinflow.Unavailable, pinflow.Unavailable, "SlowDown: Please reduce your request rate (HTTP 503)", "", "PutObject"},
		{answered(429, "TooMuch", ""), pinflow.Unavailable, pinflow.Unavailable, "TooMuch (HTTP 429)", "", "PutObject"},
		{answered(507, "QuotaExceeded", ""), pinflow.Unavailable, pinflow.Unavailable, "QuotaExceeded", "Make room", "PutObject"},
		{answered(301, "PermanentRedirect", ""), pinflow.Unavailable, pinflow.Invalid, "PermanentRedirect", "region=", "PutObject"},
		{answered(403, "RequestTimeTooSkewed", ""), pinflow.Unavailable, pinflow.Invalid, "RequestTimeTooSkewed", "clock", "PutObject"},
		{answered(403, "ExpiredToken", ""), pinflow.Unavailable, pinflow.Invalid, "ExpiredToken", "Check the credentials", "PutObject"},
		{answered(404, "NoSuchKey", ""), pinflow.NotFound, pinflow.NotFound, "", "", "PutObject"},
		{answered(501, "NotImplemented", ""), pinflow.Invalid, pinflow.Invalid, "NotImplemented", "", "PutObject"},
	} {
		m := meaningOf(c.err)
		why := ""
		if m.why != nil {
			why = m.why.Error()
		}
		if m.kind != c.kind || m.atOpen != c.atOpen || !strings.Contains(why, c.why) || !strings.Contains(m.hint, c.hint) || strings.Contains(why, c.never) {
			t.Errorf("%v: %v, %v, %s, %s", c.err, m.kind, m.atOpen, why, m.hint)
		}
	}
}

// TestEndedContext: that who asked does not want to wait is told as such, whatever the client makes of it.
func TestEndedContext(t *testing.T) {
	b := &Bucket{place: place{bucket: "b"}}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.DeadlineExceeded)
	err := b.fault(ctx, "put object", "a", unsent(errors.New("the connection was closed")))
	if !errors.Is(err, context.DeadlineExceeded) || pinflow.KindOf(err) != pinflow.Unavailable {
		t.Error(err)
	}
}

package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/xdg-go/scram"
)

// maxLoginRequest is the largest request in bytes of who has not logged in yet.
const maxLoginRequest = 16 << 10

// login is a client that is asked who it is. kfake could do it, but would let a user that it does not know in with an empty
// password, and make room for requests of a size that only those who are known should send.
type login struct {
	conn        io.ReadWriter
	users       *users
	mechanisms  []string
	apiVersions func(request []byte) (answer []byte, err error) // asks the broker

	mechanism string
	scram     *scram.ServerConversation
}

// run talks to the client until it has logged in, and returns the user; an error ends the connection.
func (l *login) run() (user string, err error) {
	for {
		frame, err := readFrame(l.conn, maxLoginRequest)
		if err != nil {
			return "", err
		}
		req, id, err := parseRequest(frame[4:])
		if err != nil {
			return "", err
		}
		switch req := req.(type) {
		case *kmsg.ApiVersionsRequest:
			answer, err := l.apiVersions(frame)
			if err != nil {
				return "", err
			}
			_, err = l.conn.Write(answer)
			if err != nil {
				return "", err
			}
		case *kmsg.SASLHandshakeRequest:
			if err := l.answer(id, l.handshake(req)); err != nil {
				return "", err
			}
		case *kmsg.SASLAuthenticateRequest:
			resp, user, done := l.authenticate(req)
			if err := l.answer(id, resp); err != nil {
				return "", err
			}
			if resp.ErrorCode != 0 {
				return user, errors.New("wrong user or password")
			}
			if done {
				return user, nil
			}
		default:
			return "", fmt.Errorf("%s before a login", kmsg.NameForKey(req.Key()))
		}
	}
}

// readFrame reads a request or an answer with its size before it.
func readFrame(r io.Reader, most int) ([]byte, error) {
	frame := make([]byte, 4)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(frame))
	if n < 8 || n > most {
		return nil, errRequest
	}
	frame = append(frame, make([]byte, n)...)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}

// parseRequest reads a request of those that come before a login; of others it reads the key alone.
func parseRequest(frame []byte) (req kmsg.Request, id int32, err error) {
	r := kbin.Reader{Src: frame}
	key, version := r.Int16(), r.Int16()
	id = r.Int32()
	r.NullableString() // the client's name
	if req = kmsg.RequestForKey(key); req == nil || version < 0 || !r.Ok() {
		return nil, id, errRequest
	}
	switch kmsg.Key(key) {
	case kmsg.SASLHandshake, kmsg.SASLAuthenticate:
	default:
		return req, id, nil
	}
	if version > req.MaxVersion() {
		return nil, id, errRequest
	}
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	return req, id, req.ReadFrom(r.Src)
}

// answer writes an answer.
func (l *login) answer(id int32, resp kmsg.Response) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 4, 256), uint32(id))
	if resp.IsFlexible() {
		frame = append(frame, 0) // no tags
	}
	frame = resp.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	_, err := l.conn.Write(frame)
	return err
}

// handshake chooses how the client logs in.
func (l *login) handshake(req *kmsg.SASLHandshakeRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
	resp.SupportedMechanisms = l.mechanisms
	if l.mechanism = ""; !slices.Contains(l.mechanisms, req.Mechanism) || req.Version < 1 {
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		return resp
	}
	l.mechanism, l.scram = req.Mechanism, nil
	return resp
}

// authenticate takes a step; done tells that the client has logged in with it.
func (l *login) authenticate(req *kmsg.SASLAuthenticateRequest) (resp *kmsg.SASLAuthenticateResponse, user string, done bool) {
	resp = req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
	resp.SASLAuthBytes = []byte{}
	var text string
	var err error
	switch l.mechanism {
	case "":
		resp.ErrorCode = kerr.IllegalSaslState.Code
		return resp, "", false
	case plain:
		user, done = l.plain(req.SASLAuthBytes)
		if !done {
			err = errors.New("it does not fit")
		}
	default:
		text, user, done, err = l.step(string(req.SASLAuthBytes))
		resp.SASLAuthBytes = []byte(text)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, kmsg.StringPtr("wrong user or password")
		resp.SASLAuthBytes = []byte{}
		return resp, user, false
	}
	return resp, user, done
}

// plain judges the message of RFC 4616.
func (l *login) plain(message []byte) (user string, ok bool) {
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 || len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
		return "", false
	}
	user = string(parts[1])
	return user, l.users.fits(user, string(parts[2]))
}

// step takes a step of RFC 5802.
func (l *login) step(message string) (answer, user string, done bool, err error) {
	if l.scram == nil {
		generator := scram.SHA512
		if l.mechanism == scramSHA256 {
			generator = scram.SHA256
		}
		server, err := generator.NewServer(func(name string) (scram.StoredCredentials, error) { return l.users.find(name, l.mechanism), nil })
		if err != nil {
			return "", "", false, err
		}
		l.scram = server.NewConversation()
	}
	answer, err = l.scram.Step(message)
	user = l.scram.Username()
	if id := l.scram.AuthzID(); err == nil && id != "" && id != user {
		err = errors.New("it would act for another")
	}
	return answer, user, l.scram.Done() && l.scram.Valid(), err
}

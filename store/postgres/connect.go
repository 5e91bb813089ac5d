package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pinflow/pinflow"
)

// settings of every session, whatever the server, the role and the URL say.
var settings = map[string]string{
	"application_name": "pinflow", "client_encoding": "UTF8", "timezone": "UTC", "datestyle": "ISO", "intervalstyle": "postgres", "extra_float_digits": "1", "bytea_output": "hex",
	"standard_conforming_strings": "on", "default_transaction_isolation": "read committed", "search_path": "pg_catalog", "jit": "off",
	// Who stops in the middle of a transaction gives up its locks. A statement takes as long as it takes: commits set a limit of their own.
	"idle_in_transaction_session_timeout": "30s", "statement_timeout": "0",
}

// connect makes the pools, and sees that there is a server.
func (s *Store) connect(ctx context.Context) error {
	config, err := s.configure(s.o.URL)
	if err != nil {
		return err
	}
	s.place = placeOf(config)
	readers, err := s.readConfig(config)
	if err != nil {
		return err
	}
	config.PingTimeout = 5 * time.Second
	config.MinConns, config.MaxConns = 0, int32(s.o.MaxConns)
	config.ConnConfig.RuntimeParams["lock_timeout"] = strconv.FormatInt(s.o.Lock.Milliseconds(), 10)
	if s.db, err = pgxpool.NewWithConfig(s.ctx, config); err == nil {
		s.readers, err = pgxpool.NewWithConfig(s.ctx, readers)
	}
	if err == nil {
		err = s.soon(ctx, s.db.Ping)
	}
	return s.failedOpen(err)
}

// configure reads a database's URL, and adds what holds for all connections.
func (s *Store) configure(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		why := errors.Unwrap(err) // err itself has the URL in it
		return nil, invalid("open store", "PostgreSQL", "Write postgres://user@host:port/database, with sslmode and the like behind a question mark.", fmt.Errorf("its URL is none: %w", why))
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	config.ConnConfig.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}).DialContext
	if s.o.dial != nil {
		config.ConnConfig.DialFunc = s.o.dial
	}
	for name, value := range settings {
		if name != "application_name" || config.ConnConfig.RuntimeParams[name] == "" {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// placeOf is the database's URL without password and parameters.
func placeOf(config *pgxpool.Config) string {
	c := config.ConnConfig
	u := url.URL{Scheme: "postgres", User: url.User(c.User), Host: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), Path: "/" + c.Database}
	if strings.HasPrefix(c.Host, "/") {
		u.Host = c.Host
	}
	return u.String()
}

// oldestServer is the first version of PostgreSQL that has all that is used.
const oldestServer = 15

// checkServer refuses a server that cannot hold a store.
func (s *Store) checkServer(ctx context.Context) error {
	var version int
	var encoding string
	err := s.db.QueryRow(ctx, "SELECT current_setting('server_version_num')::integer / 10000, current_setting('server_encoding')").Scan(&version, &encoding)
	switch {
	case err != nil:
		return err
	case version < oldestServer:
		return invalid("open store", s.place, fmt.Sprintf("Use PostgreSQL %d or a newer one.", oldestServer), fmt.Errorf("the server is PostgreSQL %d", version))
	case encoding != "UTF8":
		return invalid("open store", s.place, "Make the database with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.", fmt.Errorf("the database's encoding is %s", encoding))
	}
	return nil
}

// failedOpen is failed for what goes wrong before there is a store: it says in one line what is to be mended.
func (s *Store) failedOpen(err error) error {
	const op = "open store"
	var ours *pinflow.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	e := &pinflow.Error{Op: op, On: s.place, Err: err}
	var theirs *pgconn.PgError
	var dns *net.DNSError
	switch {
	case errors.As(err, &theirs):
		e.Err = errors.New(theirs.Message)
		s.explain(e, theirs)
		if e.Hint == "" {
			return failed(op, s.place, err)
		}
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Kind, e.Err, e.Hint = pinflow.NotFound, fmt.Errorf("there is no host %s", dns.Name), "Check the host in the store's URL."
	case strings.Contains(err.Error(), "server refused TLS connection"), strings.Contains(err.Error(), "tls: "):
		e.Kind, e.Err, e.Hint = pinflow.Invalid, lastOf(err), "Give the sslmode that the server has, and the certificate of its authority as sslrootcert."
	default:
		e.Kind, e.Err, e.Hint = pinflow.Unavailable, lastOf(err), "Is PostgreSQL running there, and does the network lead to it?"
	}
	return e
}

// explain says what to do about what a server refuses to somebody who connects.
func (s *Store) explain(e *pinflow.Error, theirs *pgconn.PgError) {
	user, database := s.db.Config().ConnConfig.User, s.db.Config().ConnConfig.Database
	switch theirs.Code {
	case "28P01", "28000":
		e.Kind, e.Hint = pinflow.Invalid, "Check user and password: the password is the URL's, PGPASSWORD's, or that of the password file. If it is right, pg_hba.conf must let the user in."
	case "3D000":
		e.Kind, e.Hint = pinflow.NotFound, "Make it: CREATE DATABASE "+quote(database)+" ENCODING 'UTF8' TEMPLATE template0, or name another one."
	case "42501":
		e.Kind, e.Hint = pinflow.Invalid, "As its owner: GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "+quote(database)+" TO "+quote(user)+". A store that another user made is that user's."
	}
}

// lastOf is the cause at the end of err's chain: what is wrapped around it repeats user and host, line by line.
func lastOf(err error) error {
	for {
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			next := u.Unwrap()
			if _, isNet := err.(*net.OpError); isNet || next == nil {
				return err
			}
			err = next
		case interface{ Unwrap() []error }:
			all := u.Unwrap()
			if len(all) == 0 {
				return err
			}
			err = all[len(all)-1]
		default:
			return err
		}
	}
}

package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// readSettings are those of sessions for queries. They cannot write, whatever the role may do. In the middle of a transaction, files of the
// lake may have to be fetched. Groups of a metric that do not fit into memory would be sorted on disk, which takes twice as long.
var readSettings = map[string]string{"default_transaction_read_only": "on", "idle_in_transaction_session_timeout": "5min", "work_mem": "32MB"}

// readConfig is the configuration of the pool for queries: the same place, as another user if there is one for reading.
func (s *Store) readConfig(writers *pgxpool.Config) (*pgxpool.Config, error) {
	config := writers.Copy()
	if s.o.ReadURL != "" {
		var err error
		if config, err = s.configure(s.o.ReadURL); err != nil {
			return nil, err
		}
		if here, there := placeOf(config), placeOf(writers); config.ConnConfig.Database != writers.ConnConfig.Database {
			return nil, invalid("open store", here, "Name the same database in both URLs.", fmt.Errorf("it is not the database that is written: %s", there))
		}
	}
	config.MinConns, config.MaxConns = 0, int32(s.o.Readers)
	for name, value := range readSettings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	return config, nil
}

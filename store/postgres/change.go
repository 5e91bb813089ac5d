package postgres

// keyIndex is the index by which the rows of an entities table are found. Text can be longer than what a btree holds, a hash is not.
func (t *table) keyIndex() string {
	if len(t.Key) == 1 {
		return "hash (" + quote(t.Key[0]) + ")"
	}
	return "btree (" + keyHash(t.Key, "") + ")"
}

// keyHash is an expression that is the same for the same key.
func keyHash(key []string, alias string) string {
	names := quoted(key)
	for i := range names {
		names[i] = alias + names[i]
	}
	return "hash_record_extended(ROW(" + list(names) + "), 0)"
}

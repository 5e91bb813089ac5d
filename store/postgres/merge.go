package postgres

// grown is how a period of a table has grown.
type grown struct{ added, merged int64 }

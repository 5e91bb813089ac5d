package pinflow

// Work is how far something long has come: a batch, an audit, the building of a generation.
type Work struct {
	Step    string `json:"step"`              // what is being done, for people: "2026-11-22: reading objects"
	Done    int64  `json:"done"`              // steps, mostly periods, that are done
	Total   int64  `json:"total"`             // how many there are; 0 if that is not known
	Objects int64  `json:"objects,omitempty"` // of the lake, read so far
	Rows    int64  `json:"rows,omitempty"`    // records worked on so far
}

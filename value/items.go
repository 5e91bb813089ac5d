package value

// items walks the items of an array that has been scanned before.
type items struct {
	scanner
	item  token
	index int // of item
}

func itemsOf(buf []byte, t *token) items {
	return items{scanner: scanner{buf: buf, pos: t.start + 1}, index: -1}
}

// next reads the next item, false at the end.
func (it *items) next() bool {
	switch it.peek() {
	case ']':
		return false
	case ',':
		it.pos++
	}
	it.index++
	return it.value(&it.item, 0)
}

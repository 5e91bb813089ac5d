package value

func newRule() *rule { return &rule{minChars: -1, maxChars: -1, minItems: -1, maxItems: -1} }

// rule reads the schema that t is, noting if it says more than a rule can.
func (c *compiler) rule(t token) *rule {
	r := newRule()
	if t.kind != '{' {
		c.simple = c.simple && t.kind == 't'
		return r
	}
	f := fields{scanner: scanner{buf: c.buf[:t.end], pos: t.start}}
	for f.next() {
		if !c.keyword(r, string(f.unescaped), &f.val) && !annotation(string(f.unescaped)) {
			c.simple = false
		}
	}
	return r
}

// keyword takes one keyword of a rule, false if a rule cannot say it.
func (c *compiler) keyword(r *rule, keyword string, t *token) bool {
	switch keyword {
	case "type":
		r.types = c.types(t)
	case "enum", "const":
		return c.choices(r, keyword, t)
	case "minLength":
		return c.natural(&r.minChars, t)
	case "maxLength":
		return c.natural(&r.maxChars, t)
	case "minItems":
		return c.natural(&r.minItems, t)
	case "maxItems":
		return c.natural(&r.maxItems, t)
	case "minimum":
		return c.limit(r, t, "at least", func(cmp int) bool { return cmp >= 0 })
	case "maximum":
		return c.limit(r, t, "at most", func(cmp int) bool { return cmp <= 0 })
	case "exclusiveMinimum":
		return c.limit(r, t, "more than", func(cmp int) bool { return cmp > 0 })
	case "exclusiveMaximum":
		return c.limit(r, t, "less than", func(cmp int) bool { return cmp < 0 })
	case "items":
		if t.kind == '[' {
			r.tuple = true
			return false
		}
		r.items = c.rule(*t)
	case "prefixItems":
		r.tuple = true
		return false
	default:
		return false
	}
	return true
}

func (c *compiler) natural(to *int, t *token) bool {
	n, ok := int64Of(c.buf[t.start:t.end])
	*to = int(n)
	return ok && !t.fraction
}

func (c *compiler) limit(r *rule, t *token, how string, holds func(int) bool) bool {
	if t.kind != '0' {
		return false
	}
	v := ratOf(c.buf[t.start:t.end])
	if v == nil {
		return false
	}
	near, exact := v.Float64()
	r.limits = append(r.limits, limit{how: how, value: v, near: near, exact: exact, holds: holds})
	return true
}

func (c *compiler) choices(r *rule, keyword string, t *token) bool {
	if r.choices != nil {
		return false // both enum and const
	}
	list := []token{*t}
	if keyword == "enum" {
		list = list[:0]
		for all := itemsOf(c.buf, t); all.next(); {
			list = append(list, all.item)
		}
	}
	ch := &choices{strings: map[string]struct{}{}, ints: map[int64]struct{}{}}
	texts := make([]string, 0, len(list))
	for _, item := range list {
		v, err := decode(c.buf[item.start:item.end])
		if !ch.add(c.buf, &item) || err != nil {
			return false
		}
		texts = append(texts, jsonText(v))
	}
	ch.reason = notOneOf(texts)
	r.choices = ch
	return true
}

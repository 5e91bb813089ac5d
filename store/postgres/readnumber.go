package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// within decodes whole numbers of a smaller type.
func within(oid uint32, columnType string, narrow func(int64) (any, bool)) (decoder, error) {
	d, err := integer(oid, 0)
	if err != nil {
		return nil, err
	}
	return func(raw []byte) (any, error) {
		v, err := d(raw)
		if err != nil {
			return nil, err
		}
		if n, ok := v.(int64); ok {
			if small, ok := narrow(n); ok {
				return small, nil
			}
		}
		return nil, fmt.Errorf("%v is no %s", v, columnType)
	}, nil
}

// integer decodes whole numbers, and numbers of a scale as how many units of it they are: int64, or *big.Int for those that do not fit.
func integer(oid uint32, scale int) (decoder, error) {
	switch {
	case oid == pgtype.NumericOID:
		return func(raw []byte) (any, error) { return readNumeric(raw, scale) }, nil
	case scale > 0:
	case oid == pgtype.Int8OID:
		return fixed(8, func(raw []byte) any { return int64(binary.BigEndian.Uint64(raw)) }), nil
	case oid == pgtype.Int4OID:
		return fixed(4, func(raw []byte) any { return int64(int32(binary.BigEndian.Uint32(raw))) }), nil
	case oid == pgtype.Int2OID:
		return fixed(2, func(raw []byte) any { return int64(int16(binary.BigEndian.Uint16(raw))) }), nil
	}
	return nil, fmt.Errorf("PostgreSQL's type %d is not that of a number of scale %d", oid, scale)
}

// readNumeric is a numeric in units of 10^-scale.
func readNumeric(raw []byte, scale int) (any, error) {
	if len(raw) < 8 {
		return nil, fmt.Errorf("a numeric of %d bytes", len(raw))
	}
	digits, weight, sign := int(binary.BigEndian.Uint16(raw)), int(int16(binary.BigEndian.Uint16(raw[2:]))), binary.BigEndian.Uint16(raw[4:])
	raw = raw[8:]
	if sign&0xbfff != 0 || len(raw) != 2*digits {
		return nil, errors.New("a numeric that is no finite number")
	}
	zeros := scale + 4*(weight-digits+1) // behind the last digit
	if digits <= 4 && zeros >= -4*digits && zeros <= 2 {
		n := int64(0)
		for i := range digits {
			n = n*10000 + int64(binary.BigEndian.Uint16(raw[2*i:]))
		}
		if zeros >= 0 || n%smallPower(-zeros) == 0 {
			if zeros >= 0 {
				n *= smallPower(zeros)
			} else {
				n /= smallPower(-zeros)
			}
			if sign != 0 {
				n = -n
			}
			return n, nil
		}
	}
	n, base := new(big.Int), big.NewInt(10000)
	for i := range digits {
		n.Add(n.Mul(n, base), big.NewInt(int64(binary.BigEndian.Uint16(raw[2*i:]))))
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(zeros, -zeros))), nil)
	rest := new(big.Int)
	if zeros >= 0 {
		n.Mul(n, power)
	} else {
		n.QuoRem(n, power, rest)
	}
	if rest.Sign() != 0 {
		return nil, fmt.Errorf("a numeric has more than %d decimals", scale)
	}
	if sign != 0 {
		n.Neg(n)
	}
	if n.IsInt64() {
		return n.Int64(), nil
	}
	return n, nil
}

// smallPower is 10^n for n up to 18.
func smallPower(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// decimalText writes units of 10^-scale with all their decimals.
func decimalText(units any, scale int) string {
	text := fmt.Sprint(units)
	if scale == 0 {
		return text
	}
	text, negative := strings.CutPrefix(text, "-")
	if missing := scale + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	if negative {
		return "-" + text
	}
	return text
}

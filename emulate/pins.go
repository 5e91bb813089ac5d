package emulate

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/brianvoe/gofakeit/v7"
)

// pinsOfOriginal is how many rows the original's table of posts has.
const pinsOfOriginal = 11_000

// pin is one post of the original service: its fields in their order, dirty values as it wrote them.
type pin struct {
	Index         int     `json:"index"`
	UniqueID      string  `json:"unique_id"`
	Title         string  `json:"title"`
	Description   string  `json:"description"`
	PosterName    *string `json:"poster_name,omitempty"` // the first generation of the original's API dropped it
	FollowerCount string  `json:"follower_count"`
	TagList       string  `json:"tag_list"`
	Media         string  `json:"is_image_or_video"`
	ImageSrc      string  `json:"image_src"`
	Downloaded    int     `json:"downloaded"`
	SaveLocation  string  `json:"save_location"`
	Category      string  `json:"category"`
}

// Pins makes n pins, each a JSON object on one line, with indexes from 1 and made-up people, texts and
// addresses. What is clean and what is dirty has the shares of the original's rows (to within one row
// per kind of pin). The same seed makes the same pins.
func Pins(seed uint64, n int) [][]byte {
	m := newMaker(seed, n)
	kinds := kindsOfPin()
	kind := deal(m.rand, n, kindShares(kinds)...)
	categories := categoriesOfPins()
	category := deal(m.rand, n, categoryShares(categories)...)
	made := make([]pin, n)
	var posted []*pin // with a poster who is still known
	for i := range made {
		made[i] = m.pin(i+1, kinds[kind[i]].media, categories[category[i]])
		if spoil := kinds[kind[i]].spoil; spoil != nil {
			spoil(&made[i])
		}
		if made[i].FollowerCount != unknownUser {
			posted = append(posted, &made[i])
		}
	}
	for i, nameless := range deal(m.rand, len(posted), 3436-unnamed, unnamed) {
		if nameless == 1 {
			posted[i].PosterName = nil
		}
	}
	lines := make([][]byte, n)
	for i := range made {
		lines[i] = made[i].line()
	}
	return lines
}

// line is the pin as it is posted: JSON as most clients write it, without HTML's escapes.
func (p *pin) line() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(p) // strings and numbers always encode
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// maker draws pins.
type maker struct {
	fake    *gofakeit.Faker
	rand    *rand.Rand
	words   vocabulary
	posters []poster
}

// poster is a made-up account. One account has one follower count, as most have in the original.
type poster struct{ name, followers string }

func newMaker(seed uint64, n int) *maker {
	source := rand.NewPCG(seed, pinsOfOriginal)
	m := &maker{fake: gofakeit.NewFaker(source, false), rand: rand.New(source), words: newVocabulary()}
	m.posters = make([]poster, n)
	for i, size := range deal(m.rand, n, 93, 166, 324, 2572, 281) {
		m.posters[i] = poster{m.posterName(), m.followers(size)}
	}
	return m
}

// followers writes a count as the original does: exact below a thousand, then whole thousands and millions.
func (m *maker) followers(size int) string {
	switch size {
	case 0:
		return strconv.Itoa(m.fake.Number(0, 9))
	case 1:
		return strconv.Itoa(m.fake.Number(10, 99))
	case 2:
		return strconv.Itoa(m.fake.Number(100, 999))
	case 3: // more small accounts than large ones
		return strconv.Itoa(1+m.fake.IntN(m.fake.Number(1, 991))) + "k"
	default:
		return strconv.Itoa(1+m.fake.IntN(m.fake.Number(1, 15))) + "M"
	}
}

// pin makes a clean one.
func (m *maker) pin(index int, media string, c category) pin {
	by := m.posters[m.fake.IntN(len(m.posters))]
	return pin{
		Index: index, UniqueID: m.fake.UUID(), Title: m.title(c), Description: m.description(c),
		PosterName: &by.name, FollowerCount: by.followers, TagList: strings.Join(m.tags(c), ","),
		Media: media, ImageSrc: m.imageSrc(media), Downloaded: 1,
		SaveLocation: "Local save in /data/" + c.name, Category: c.name,
	}
}

// imageSrc is an address on a host that does not exist, in the form of the original's.
func (m *maker) imageSrc(media string) string {
	id := strings.TrimPrefix(m.fake.HexUint(64), "0x") + strings.TrimPrefix(m.fake.HexUint(64), "0x")
	path := "/originals/" + id[0:2] + "/" + id[2:4] + "/" + id[4:6] + "/" + id
	if media == image {
		return "https://images.example" + path + ".jpg"
	}
	return "https://images.example/videos/thumbnails" + path + ".0000001.jpg"
}

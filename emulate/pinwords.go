package emulate

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// category is one of the original's 13, with the number of its known rows and the things that its pins are about.
type category struct {
	name   string
	share  int
	things []string
}

func categoriesOfPins() []category {
	of := func(name string, share int, things string) category {
		return category{name, share, strings.Split(things, ", ")}
	}
	return []category{
		of("art", 294, "Watercolor Landscape, Paper Sculpture, Ink Portrait, Clay Figure, Mural, Charcoal Study, Linocut Print, Sketchbook Page, Oil Still Life, Glass Mosaic, Canvas Abstract, Gouache Garden"),
		of("beauty", 228, "Nail Design, Braided Hairstyle, Evening Makeup, Skin Routine, Lip Color, Curly Bob, Brow Shape, Face Mask, Hair Treatment, Eyeliner Look, Natural Blush, Hand Cream"),
		of("christmas", 334, "Wreath, Advent Calendar, Tree Ornament, Gingerbread House, Window Garland, Gift Wrapping, Felt Stocking, Candle Centerpiece, Paper Star, Snow Globe, Cookie Box, Porch Display"),
		of("diy-and-crafts", 255, "Macrame Hanger, Felt Flower, Painted Rock, Mason Jar Lamp, Pallet Bench, Button Bouquet, Yarn Basket, Origami Crane, Salt Dough Charm, Resin Tray, Scrap Quilt, Cardboard Castle"),
		of("education", 251, "Reading Corner, Math Game, Science Fair Project, Phonics Chart, Classroom Poster, Lesson Planner, Spelling Activity, History Timeline, Study Schedule, Sorting Worksheet, Story Prompt, Map Puzzle"),
		of("event-planning", 242, "Wedding Table, Garden Party, Balloon Arch, Seating Chart, Dessert Bar, Baby Shower, Birthday Banner, Invitation Suite, Photo Booth, Flower Wall, Picnic Setup, Place Card"),
		of("finance", 264, "Budget Planner, Savings Challenge, Debt Tracker, Pantry Budget, Side Income, Spending Diary, Emergency Fund, Index Portfolio, Bill Calendar, Frugal Habit, Retirement Plan, Cash Envelope"),
		of("home-decor", 247, "Gallery Wall, Reading Nook, Entryway Bench, Linen Bedroom, Open Shelf, Rattan Lamp, Velvet Sofa, Coffee Corner, Plant Stand, Woven Rug, Kitchen Island, Fireplace Mantel"),
		of("mens-fashion", 268, "Linen Suit, Denim Jacket, Leather Boot, Wool Overcoat, Chino Outfit, Layered Look, Knit Sweater, Summer Shirt, Canvas Sneaker, Travel Blazer, Pocket Square, Raw Denim"),
		of("quotes", 274, "Morning Thought, Courage Line, Friendship Verse, Patience Reminder, Rainy Day Line, Gratitude Note, Ocean Verse, Teamwork Motto, Kindness Line, Farewell Verse, New Year Motto, Quiet Thought"),
		of("tattoos", 278, "Fine Line Flower, Small Wave, Geometric Wolf, Wrist Script, Mountain Outline, Botanical Sleeve, Moon Phase, Dotwork Mandala, Swallow Pair, Compass Rose, Constellation, Fern Leaf"),
		of("travel", 275, "Island Itinerary, Mountain Trail, Packing List, Night Train, Harbor Town, Desert Road Trip, Old Town Walk, Lake Cabin, Street Food Tour, Coastal Drive, Waterfall Hike, Weekend City Break"),
		of("vehicles", 251, "Vintage Camper, Trail Truck, Roadster Restoration, Cafe Racer, Van Conversion, Rally Hatchback, Electric Bicycle, Classic Coupe, Wooden Boat, Roof Tent, Garage Build, Touring Motorcycle"),
	}
}

func categoryShares(categories []category) []int {
	var shares []int
	for _, c := range categories {
		shares = append(shares, c.share)
	}
	return shares
}

// vocabulary is what goes with every category's things.
type vocabulary struct {
	adjectives, places, seasons, persons, crafts, signs []string
}

func newVocabulary() vocabulary {
	return vocabulary{
		adjectives: strings.Fields("Simple Easy Modern Rustic Vintage Bold Tiny Colorful Minimal Handmade Classic Cozy Elegant Playful Bright Budget Creative Gorgeous Unusual Timeless"),
		places:     strings.Fields("Willow Harbor Maple Juniper Cedar Meadow Lantern Pebble Thistle Saffron Copper Birch Clover Amber Fjord Café Señorita Höhe Indigo Marble Orchard Plum Quartz Raven Sorrel Tundra Velvet Walnut Yarrow Zephyr"),
		seasons:    strings.Split("Spring, Summer, Autumn, Winter, Small Rooms, Beginners, Busy Mornings, Large Families, the Weekend, Rainy Days, Every Budget, a Quiet Evening", ", "),
		persons:    strings.Fields("Odalys Brannoc Tilvie Maruska Fennick Isolde Quillan Renske Sorrell Thandiwe Ulvar Vesna Wystan Xanthe Yorick Zinnia"),
		crafts:     strings.Split("Studio, Workshop, Journal, & Co, Diaries, Atelier, Notebook, Collective, Corner, Press, Gazette, House", ", "),
		signs:      strings.Fields("✨ 🌿 🎄 ❤️ 🌙 ☀️ 🎨"),
	}
}

func (m *maker) adjective() string { return m.fake.RandomString(m.words.adjectives) }

func (m *maker) posterName() string {
	place, craft := m.fake.RandomString(m.words.places), m.fake.RandomString(m.words.crafts)
	switch m.fake.IntN(4) {
	case 0:
		return m.fake.RandomString(m.words.persons) + " " + place
	case 1:
		return m.fake.RandomString(m.words.persons) + " | " + place + " " + craft
	case 2:
		return place + " " + m.fake.RandomString(m.words.places) + " " + craft
	default:
		return "The " + m.adjective() + " " + place + " " + craft
	}
}

func (m *maker) title(c category) string {
	thing, season := m.fake.RandomString(c.things), m.fake.RandomString(m.words.seasons)
	switch m.fake.IntN(6) {
	case 0:
		return strconv.Itoa(m.fake.Number(5, 60)) + " " + m.adjective() + " " + thing + " Ideas for " + season
	case 1:
		return "How To Make a " + m.adjective() + " " + thing
	case 2:
		return m.adjective() + ", " + m.adjective() + " " + thing + " – " + m.fake.RandomString(m.words.places)
	case 3:
		return "\"" + thing + "\" & " + strconv.Itoa(m.fake.Number(3, 20)) + " More for " + season
	case 4:
		return thing + " " + m.fake.RandomString(m.words.signs)
	default:
		return "The " + m.adjective() + " " + thing
	}
}

// description is a few sentences, cut off as the original's scraper does.
func (m *maker) description(c category) string {
	var b strings.Builder
	for range m.fake.Number(1, 4) {
		b.WriteString(m.sentence(c) + " ")
	}
	text := strings.TrimSpace(b.String())
	if utf8.RuneCountInString(text) <= 180 {
		return text
	}
	return string([]rune(text)[:177]) + "… "
}

func (m *maker) sentence(c category) string {
	thing, season := strings.ToLower(m.fake.RandomString(c.things)), strings.ToLower(m.fake.RandomString(m.words.seasons))
	switch m.fake.IntN(5) {
	case 0:
		return "Looking for a " + strings.ToLower(m.adjective()) + " " + thing + "? Here are our favourites for " + season + "."
	case 1:
		return "We've tried this " + thing + " ourselves, and it takes less than " + strconv.Itoa(m.fake.Number(10, 90)) + " minutes!"
	case 2:
		return "Save this " + thing + " for " + season + "."
	case 3:
		return "A " + strings.ToLower(m.adjective()) + " way to start with your first " + thing + ", step by step, from " + m.fake.RandomString(m.words.places) + "."
	default:
		return "Everything that you need to know about a " + strings.ToLower(m.adjective()) + " " + thing + " is here."
	}
}

// tags are nine, as nearly every pin of the original has, without repetition.
func (m *maker) tags(c category) []string {
	var tags []string
	used := map[string]bool{}
	for len(tags) < 9 {
		tag := m.adjective() + " " + m.fake.RandomString(c.things) + "s"
		if !used[tag] {
			used[tag] = true
			tags = append(tags, tag)
		}
	}
	return tags
}

package emulate

// The media of pins.
const (
	image = "image"
	video = "video"
	story = "multi-video(story page format)"
)

// pinKind is a sort of pin: how many of the original's 3,461 known rows are of it, and what is dirty in it.
type pinKind struct {
	share int
	media string
	spoil func(*pin)
}

// kindsOfPin are the sorts of pin that the original has. Dirty values come together there: a removed
// pin lacks everything, and only stories lack their image.
func kindsOfPin() []pinKind {
	return []pinKind{
		{3044, image, nil},
		{44, image, noDescription},
		{19, image, noTags},
		{1, image, untitled},
		{98, video, nil},
		{3, video, noDescription},
		{3, video, noTags},
		{168, story, asStory},
		{52, story, func(p *pin) { asStory(p); noImage(p) }},
		{2, story, func(p *pin) { asStory(p); noTags(p) }},
		{2, story, func(p *pin) { asStory(p); p.Title = "" }},
		{23, story, removed},
		{2, story, func(p *pin) { removed(p); p.PosterName = nil }},
	}
}

func kindShares(kinds []pinKind) []int {
	var shares []int
	for _, k := range kinds {
		shares = append(shares, k.share)
	}
	return shares
}

// unknownUser stands for a poster and the followers of one who is gone.
const unknownUser = "User Info Error"

// unnamed is how many pins lack their poster's name, out of the 3,436 whose poster is known: the first
// generation of the original's API dropped it, whatever sort of pin it was.
const unnamed = 118

func noDescription(p *pin) { p.Description = "No description available" }

func untitled(p *pin) { p.Description = "Untitled" }

func asStory(p *pin) { p.Description = "No description available Story format" }

// noTags is what the original's scraper made of the text "No Tags Available".
func noTags(p *pin) { p.TagList = "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e" }

func noImage(p *pin) {
	p.ImageSrc = "Image src error."
	p.Downloaded = 0
}

func removed(p *pin) {
	asStory(p)
	noTags(p)
	noImage(p)
	unknown := unknownUser
	p.Title, p.PosterName, p.FollowerCount = "No Title Data Available", &unknown, unknown
}

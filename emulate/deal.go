package emulate

import "math/rand/v2"

// deal returns n indexes of weights, shuffled, each in the share of its weight to within one: so the
// shares hold for every seed, not on average over seeds.
func deal(r *rand.Rand, n int, weights ...int) []int {
	total := 0
	for _, w := range weights {
		total += w
	}
	hand := make([]int, 0, n)
	sum := 0
	for i, w := range weights {
		sum += w
		for upTo := (2*n*sum + total) / (2 * total); len(hand) < upTo; {
			hand = append(hand, i)
		}
	}
	r.Shuffle(n, func(i, j int) { hand[i], hand[j] = hand[j], hand[i] })
	return hand
}

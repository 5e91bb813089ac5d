// Package bench measures Pinflow beside peers that do the least that could be done, in the same run: machines
// differ and are noisy, ratios are steadier. RESULTS.md has what was seen. Run it with make bench.
package bench

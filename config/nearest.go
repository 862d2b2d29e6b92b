package config

import (
	"fmt"
	"slices"
)

// unknownKey is the message for a key that doesn't exist, with the nearest one that does.
func unknownKey(key string, known []string) string {
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("unknown key %q; did you mean %q?", key, near)
	}
	sorted := slices.Sorted(slices.Values(known))
	return fmt.Sprintf("unknown key %q; the keys here are %s", key, joinWords(sorted))
}

// nearest returns the known word that a typing error most likely came from, or "" if none is near.
func nearest(word string, known []string) string {
	best, bestDistance := "", 1+len(word)/3
	for _, candidate := range known {
		if d := editDistance(word, candidate); d <= bestDistance && (best == "" || d < bestDistance) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete, replace or swap with their neighbour to turn a into b (optimal
// string alignment).
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}

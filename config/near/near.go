// Package near tells which word a misspelt one can be.
package near

// Word returns the word among known that a misspelt one can be; empty if none is near.
func Word(word string, known []string) string {
	best, least := "", 3
	if len(word) > 64 {
		return ""
	}
	for _, k := range known {
		if d := len(word) - len(k); d >= least || -d >= least {
			continue // that many letters apart at least
		}
		if d := Distance(word, k); d < least && d*3 <= len(k) {
			best, least = k, d
		}
	}
	return best
}

// Distance is the number of letters to add, to remove, to replace, or to swap with their
// neighbours, to make b of a.
func Distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(s); i++ {
		before, last, row := rows[(i+2)%3], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(s)+1)%3][len(t)]
}

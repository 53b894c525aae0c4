package discord

import "math/big"

// maxPermissionDigits bounds a permission number; Discord's have 16 today.
const maxPermissionDigits = 100

// parsePermissions reads a number of permission bits, which Discord sends as text because it
// may outgrow 64 bits. It returns those that the bot knows; none for what is not such a number:
// what cannot be read allows nothing.
//
// https://docs.discord.com/developers/topics/permissions
func parsePermissions(s string) int64 {
	if s == "" || len(s) > maxPermissionDigits || !digits(s) {
		return 0
	}
	n, _ := new(big.Int).SetString(s, 10) // digits alone are a number
	low := new(big.Int).And(n, big.NewInt(1<<62-1))
	return low.Int64()
}

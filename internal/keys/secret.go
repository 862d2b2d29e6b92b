package keys

import (
	"regexp"
	"slices"
	"strings"
)

// secretWords are parts of the names of secrets.
var secretWords = []string{
	"passw", "passphrase", "secret", "token", "community", "credential", "api_key", "apikey", "auth_key", "hexadecimal_kg",
	"private_key", "access_key",
}

// secretNames are names of secrets that would be found in too many other names, or that look as if they only pointed to one.
var secretNames = []string{"pass", "pwd", "community_name"}

// secretHeaders are parts of the names of HTTP headers that hold secrets, beside secretWords.
var secretHeaders = []string{"authorization", "cookie"}

// pointing are the last words of names that say where a secret is or how it is asked for, not what it is.
var pointing = []string{
	"script", "file", "path", "dir", "directory", "program", "command", "prompt", "url", "uri", "type", "timeout", "name",
}

// oftenMistyped are words that count also with a letter wrong: their value is shown to everybody before anyone sees the error.
var oftenMistyped = []string{"password", "passwd", "passphrase"}

// HoldSecret says whether settings of this name, of a fence agent or a router, hold a secret.
func HoldSecret(name string) bool {
	name = plain(name)
	parts := strings.Split(name, "_")
	switch {
	case slices.Contains(secretNames, name):
		return true
	case slices.Contains(pointing, parts[len(parts)-1]):
		return false
	}
	return hasOne(name, secretWords) || slices.ContainsFunc(parts, meansPassword)
}

// HeaderHoldsSecret says whether HTTP headers of this name hold a secret.
func HeaderHoldsSecret(name string) bool {
	return HoldSecret(name) || hasOne(plain(name), secretHeaders)
}

// MayHoldPath says whether settings that hold a secret by their name are also used for the path of one.
func MayHoldPath(name string) bool {
	return hasOne(plain(name), []string{"private_key", "credential"})
}

var passwordInURL = regexp.MustCompile(`://[^/?#@\s:]*:[^/?#@\s]+@`)

// PasswordInURL says whether a value holds a URL with a password in it: https://user:password@host.
func PasswordInURL(value string) bool { return passwordInURL.MatchString(value) }

var betweenWords = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// plain is a name in the spelling of fence agents: secretKey and Secret-Key are secret_key.
func plain(name string) string {
	name = betweenWords.ReplaceAllString(name, "${1}_${2}")
	return strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToLower(name))
}

func hasOne(name string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(name, part) })
}

func meansPassword(word string) bool {
	return slices.ContainsFunc(oftenMistyped, func(right string) bool { return Distance(word, right) <= 1 })
}

package probe

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Authentication by SCRAM-SHA-256 (RFC 5802, RFC 7677), with and without channel binding, as PostgreSQL has it.
const (
	scramPlain = "SCRAM-SHA-256"
	scramBound = "SCRAM-SHA-256-PLUS"
	// mostIterations bounds the work that a server can ask for; PostgreSQL's default is 4096.
	mostIterations = 1_000_000
	// mostKeys bounds the cache of keys.
	mostKeys = 4096
)

var (
	// errScram says that the server's part of the exchange is malformed or wrong.
	errScram = errors.New("malformed SCRAM exchange")
	// errNotTheServer says that the other side doesn't know the password: it is not the server that it claims to be.
	errNotTheServer = errors.New("the server failed to prove that it knows the password")
)

// scramKeys keeps what is derived from passwords. Deriving costs about a millisecond of CPU by design, which is more than all
// the rest of a look, and gives the same keys until the password changes.
type scramKeys struct {
	mu   sync.Mutex
	keys map[scramSecret]scramKey
}

// scramSecret is what keys are derived from.
type scramSecret struct {
	password   string
	salt       string
	iterations int
}

type scramKey struct {
	client, stored, server []byte
}

func (s *scramKeys) derive(secret scramSecret) (scramKey, error) {
	s.mu.Lock()
	key, known := s.keys[secret]
	s.mu.Unlock()
	if known {
		return key, nil
	}
	salted, err := pbkdf2.Key(sha256.New, secret.password, []byte(secret.salt), secret.iterations, sha256.Size)
	if err != nil {
		return scramKey{}, fmt.Errorf("derive keys from the password: %w", err)
	}
	key.client = sign(salted, "Client Key")
	stored := sha256.Sum256(key.client)
	key.stored = stored[:]
	key.server = sign(salted, "Server Key")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil || len(s.keys) >= mostKeys {
		s.keys = map[scramSecret]scramKey{} // old passwords go with it
	}
	s.keys[secret] = key
	return key, nil
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// scram is one exchange, seen from the client.
type scram struct {
	keys      *scramKeys
	password  string
	mechanism string
	gs2       string // header that says whether the exchange is bound to the TLS channel
	binding   []byte // hash of the server's certificate, if bound
	nonce     string
	message   string // what both sides sign
	key       scramKey
}

// newScram chooses the mechanism. channel is the TLS connection, nil without TLS.
func newScram(keys *scramKeys, password string, offered []string, channel *tls.Conn) (*scram, error) {
	random := make([]byte, 18)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("make a nonce: %w", err)
	}
	s := &scram{
		keys: keys, password: prepare(password), mechanism: scramPlain, gs2: "n,,",
		nonce: base64.StdEncoding.EncodeToString(random),
	}
	if channel != nil && slices.Contains(offered, scramBound) {
		if s.binding = certificateHash(channel.ConnectionState()); s.binding != nil {
			s.mechanism, s.gs2 = scramBound, "p=tls-server-end-point,,"
		}
	}
	if !slices.Contains(offered, s.mechanism) {
		return nil, fmt.Errorf("%w: the server offers %s", errOtherMethod, strings.Join(offered, ", "))
	}
	return s, nil
}

// prepare normalises a password as PostgreSQL does (SASLprep, RFC 4013): some characters are dropped or become spaces, the
// rest takes its compatibility form; a password with prohibited characters is used as it is.
//
// Prohibited are also characters that Unicode 3.2 didn't have and some mixtures of writing directions. These are not looked for:
// it makes a difference only if the same password also has characters that normalising changes.
func prepare(password string) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(mappedToNothing, r):
			return -1
		case r > unicode.MaxASCII && unicode.Is(unicode.Zs, r):
			return ' '
		}
		return r
	}, password)
	normal := norm.NFKC.String(mapped)
	prohibited := func(r rune) bool { return r == utf8.RuneError || unicode.In(r, unicode.C) }
	if normal == "" || strings.ContainsFunc(normal, prohibited) {
		return password
	}
	return normal
}

// mappedToNothing is table B.1 of RFC 3454. It is never changed.
var mappedToNothing = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x00ad, Hi: 0x00ad, Stride: 1},
	{Lo: 0x034f, Hi: 0x034f, Stride: 1},
	{Lo: 0x1806, Hi: 0x1806, Stride: 1},
	{Lo: 0x180b, Hi: 0x180d, Stride: 1},
	{Lo: 0x200b, Hi: 0x200d, Stride: 1},
	{Lo: 0x2060, Hi: 0x2060, Stride: 1},
	{Lo: 0xfe00, Hi: 0xfe0f, Stride: 1},
	{Lo: 0xfeff, Hi: 0xfeff, Stride: 1},
}}

func (s *scram) first() string { return s.gs2 + s.bare() }

func (s *scram) bare() string { return "n=,r=" + s.nonce }

// proof answers the server's challenge.
func (s *scram) proof(challenge string) (string, error) {
	secret, nonce, err := readChallenge(challenge)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(nonce, s.nonce) || nonce == s.nonce {
		return "", fmt.Errorf("%w: the server's nonce doesn't extend ours", errScram)
	}
	secret.password = s.password
	if s.key, err = s.keys.derive(secret); err != nil {
		return "", err
	}
	bound := base64.StdEncoding.EncodeToString(append([]byte(s.gs2), s.binding...))
	final := "c=" + bound + ",r=" + nonce
	s.message = s.bare() + "," + challenge + "," + final
	proof := make([]byte, len(s.key.client))
	subtle.XORBytes(proof, s.key.client, sign(s.key.stored, s.message))
	return final + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// readChallenge reads r=NONCE,s=SALT,i=ITERATIONS.
func readChallenge(challenge string) (scramSecret, string, error) {
	var nonce, salt, rounds string
	for part := range strings.SplitSeq(challenge, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "r":
			nonce = value
		case "s":
			salt = value
		case "i":
			rounds = value
		default:
			return scramSecret{}, "", fmt.Errorf("%w: unknown attribute in the challenge", errScram)
		}
	}
	decoded, err := base64.StdEncoding.DecodeString(salt)
	if err != nil || len(decoded) == 0 {
		return scramSecret{}, "", fmt.Errorf("%w: the salt can't be read", errScram)
	}
	iterations, err := strconv.Atoi(rounds)
	if err != nil || iterations < 1 || iterations > mostIterations {
		return scramSecret{}, "", fmt.Errorf("%w: number of iterations %q is not within 1 to %d", errScram, rounds, mostIterations)
	}
	return scramSecret{salt: string(decoded), iterations: iterations}, nonce, nil
}

// verify checks the server's own proof.
func (s *scram) verify(final string) error {
	value, found := strings.CutPrefix(final, "v=")
	proof, err := base64.StdEncoding.DecodeString(value)
	if !found || err != nil {
		return fmt.Errorf("%w: the server's proof can't be read", errScram)
	}
	if len(s.key.server) == 0 || !hmac.Equal(proof, sign(s.key.server, s.message)) {
		return errNotTheServer
	}
	return nil
}

// certificateHash is the channel binding of type tls-server-end-point (RFC 5929 section 4.1), nil if the certificate has none.
func certificateHash(state tls.ConnectionState) []byte {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	certificate := state.PeerCertificates[0]
	var h hash.Hash
	switch certificate.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		h = sha256.New()
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = sha512.New384()
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = sha512.New()
	default:
		return nil
	}
	h.Write(certificate.Raw)
	return h.Sum(nil)
}

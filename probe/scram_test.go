package probe

import (
	"errors"
	"strings"
	"testing"
)

// exchangeOfRFC7677 is the example of RFC 7677 section 3, with its user name in place of PostgreSQL's empty one.
const (
	rfcPassword  = "pencil"
	rfcNonce     = "rOprNGfwEbeRWgbNEkqO"
	rfcChallenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)

func TestScramProvesItselfAndChecksTheServer(t *testing.T) {
	var keys scramKeys
	for range 2 { // the second time with keys from the cache
		s := &scram{keys: &keys, password: rfcPassword, mechanism: scramPlain, gs2: "n,,", nonce: rfcNonce}
		proof, err := s.proof(rfcChallenge)
		if err != nil {
			t.Fatalf("prove: %v", err)
		}
		if want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="; !strings.HasPrefix(proof, want) {
			t.Fatalf("proof: got %s, want it to begin with %s", proof, want)
		}
		if err := s.verify("v=AAAA"); !errors.Is(err, errNotTheServer) {
			t.Fatalf("a server with a wrong proof: got %v", err)
		}
		if err := s.verify("e=other-error"); !errors.Is(err, errScram) {
			t.Fatalf("a server without a proof: got %v", err)
		}
	}
	if len(keys.keys) != 1 {
		t.Fatalf("keys in the cache: got %d, want 1", len(keys.keys))
	}
}

func TestScramKeysOfRFC7677(t *testing.T) {
	// The RFC's own messages, which name the user: the keys and signatures must agree with them.
	var keys scramKeys
	secret, _, err := readChallenge(rfcChallenge)
	if err != nil {
		t.Fatalf("read the challenge: %v", err)
	}
	secret.password = rfcPassword
	s := &scram{}
	if s.key, err = keys.derive(secret); err != nil {
		t.Fatalf("derive: %v", err)
	}
	s.message = "n=user,r=" + rfcNonce + "," + rfcChallenge + ",c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	if err := s.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="); err != nil {
		t.Fatalf("the server's signature of the RFC: %v", err)
	}
}

func TestScramRefusesBadChallenges(t *testing.T) {
	for name, challenge := range map[string]string{
		"nonce of somebody else":  "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"nonce without extension": "r=" + rfcNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"no salt":                 "r=" + rfcNonce + "x,i=4096",
		"bad salt":                "r=" + rfcNonce + "x,s=!,i=4096",
		"no iterations":           "r=" + rfcNonce + "x,s=W22ZaJ0SNY7soEsUEjb6gQ==",
		"too many iterations":     "r=" + rfcNonce + "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001",
		"unknown extension":       "m=x,r=" + rfcNonce + "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	} {
		t.Run(name, func(t *testing.T) {
			s := &scram{keys: &scramKeys{}, password: rfcPassword, nonce: rfcNonce}
			if _, err := s.proof(challenge); !errors.Is(err, errScram) {
				t.Fatalf("prove: got %v, want %v", err, errScram)
			}
		})
	}
}

func TestScramLeavesOtherMethodsToTheLibrary(t *testing.T) {
	if _, err := newScram(&scramKeys{}, "x", []string{"OAUTHBEARER"}, nil); !errors.Is(err, errOtherMethod) {
		t.Fatalf("new: got %v, want %v", err, errOtherMethod)
	}
}

func TestPrepare(t *testing.T) {
	for password, want := range map[string]string{
		"plain ASCII ~!":     "plain ASCII ~!",
		"tab\there":          "tab\there", // prohibited: as it is
		"I\u00adX":           "IX",        // RFC 4013 section 3
		"\u00aa":             "a",
		"\u2168":             "IX",
		"no\u00a0break":      "no break",
		"pa\u0308ssword № 2": "pässword No 2",
		"private \ue000 №":   "private \ue000 №",
		"not UTF-8 \xff №":   "not UTF-8 \xff №",
		"\u00ad":             "\u00ad", // nothing would be left
		"":                   "",
	} {
		if got := prepare(password); got != want {
			t.Errorf("prepare %q: got %q, want %q", password, got, want)
		}
	}
}

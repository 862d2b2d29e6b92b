package failover

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// AnsweredRequest remembers a request, so that a repeated one changes nothing and is answered as it was the first time.
type AnsweredRequest struct {
	ID      string
	Index   Index
	Entry   string    // what was asked for, in a word
	Group   GroupName `json:",omitempty"`
	Content string    // tells it from any other change: see asked.content
	// What it was answered with, as far as that is not words.
	Operation   OperationID
	Member      MemberName `json:",omitempty"` // that was adopted
	Epoch       Epoch      `json:",omitempty"` // of an adoption, or kept of a deleted group
	SpecVersion uint64     `json:",omitempty"` // that was applied; 1: the group was created
	Unchanged   bool       `json:",omitempty"` // it was applied before already
}

// requestsKept bounds how many request ids are remembered.
const requestsKept = 1024

// Answered finds the request of an id among those that were carried out. Who did not hear the answer asks again, when the group or its
// operation may be gone: by that very change.
func (s *State) Answered(id string) (done AnsweredRequest, again bool) {
	for _, r := range s.Requests {
		if r.ID == id {
			return r, true
		}
	}
	return AnsweredRequest{}, false
}

// RepeatedBy says whether an entry with the id of this request asks for the very same.
func (r AnsweredRequest) RepeatedBy(b Body) bool {
	asked := askedBy(b)
	return asked != nil && r.Entry == asked.kind && r.Group == groupOf(b) && r.Content == asked.content
}

// repeat answers a request as it was answered before. Another change under its id is refused: it would be taken for a repetition, and never done.
func (c *change) repeat(done AnsweredRequest) *Refusal {
	if !done.RepeatedBy(c.entry.Body) {
		return refuse("", "request id %q was already used for another change (%s of %s, index %d)", done.ID, done.Entry, cmp.Or(done.Group, "all groups"), done.Index).
			advise("give every change an id of its own, and an old one only to repeat the same change")
	}
	c.emit(Event{
		Kind: Repeated, Group: done.Group, Operation: done.Operation, Member: done.Member, Epoch: done.Epoch,
		Text: fmt.Sprintf("request %s was already carried out at index %d", done.ID, done.Index),
	})
	return nil
}

// remember keeps the request of this entry, which was carried out, with its answer.
func (c *change) remember(asked *asked) {
	answer := AnsweredRequest{ID: asked.request.ID, Index: c.entry.Index, Entry: asked.kind, Group: groupOf(c.entry.Body), Content: asked.content}
	for _, e := range c.events {
		if e.Operation != "" {
			answer.Operation = e.Operation
		}
		switch e.Kind {
		case GroupAdopted:
			answer.Member, answer.Epoch = e.Member, e.Epoch
		case GroupDeleted:
			answer.Epoch = e.Epoch
		}
	}
	if _, applies := c.entry.Body.(ApplySpec); applies {
		answer.SpecVersion = c.state.Group(answer.Group).SpecVersion
		answer.Unchanged = !slices.ContainsFunc(c.events, func(e Event) bool { return e.Kind == GroupApplied })
	}
	c.state.Requests = keepNewest(append(slices.Clip(c.state.Requests), answer), requestsKept)
}

// asked is an entry that somebody asked for.
type asked struct {
	request Request
	kind    string
	// content sums up what is asked for, without who asks and why. Nor does it have what the caller saw (the epoch, the turn, the spec version):
	// that is no part of what is wanted, and who repeats a command because its answer was lost may see what it did.
	content string
}

// newAsked takes a pointer to a copy of the entry, and to the request in that.
func newAsked(kind string, request *Request, body any) *asked {
	a := &asked{request: *request, kind: kind}
	*request = Request{}
	text, err := json.Marshal(body)
	if err != nil {
		panic("sum up what was asked for: " + err.Error()) // no entry has a value that JSON lacks: a test goes through all of them
	}
	sum := sha256.Sum256(text)
	a.content = hex.EncodeToString(sum[:])
	return a
}

// askedBy names the entries that somebody asks for; nil for all others.
func askedBy(b Body) *asked {
	switch b := b.(type) {
	case ApplySpec:
		b.Spec, b.Source, b.Expected = nil, nil, 0 // the defaults follow from what was written
		return newAsked("apply", &b.Request, &b)
	case DeleteGroup:
		return newAsked("delete", &b.Request, &b)
	case Adopt:
		b.Seen = 0
		return newAsked("adopt", &b.Request, &b)
	case Pause:
		return newAsked("pause", &b.Request, &b)
	case Resume:
		return newAsked("resume", &b.Request, &b)
	case StartOperation:
		b.Epoch = 0
		return newAsked("failover", &b.Request, &b)
	case Release:
		b.Seen = 0
		return newAsked("release", &b.Request, &b)
	case Abort:
		return newAsked("abort", &b.Request, &b)
	case Reinstate:
		b.Seen = 0
		return newAsked("reinstate", &b.Request, &b)
	case Attest:
		b.Seen = 0
		return newAsked("attest", &b.Request, &b)
	case Restored:
		return newAsked("restore", &b.Request, &b)
	}
	return nil
}

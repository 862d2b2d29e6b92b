package failover

import "slices"

// Attestation is a person's word that a member could not write, as it was taken. All of them are kept, also those on groups that were deleted since,
// and nothing is decided by them: what a word ended stands in the member's authority and proof.
type Attestation struct {
	Index  Index // of the entry that brought it
	Wall   WallTime
	Actor  string
	Reason string
	Group  GroupName
	Member MemberName
	// Operation is what the word was given for; empty if it was given with an adoption and nothing was in progress.
	Operation OperationID `json:",omitempty"`
	// Revoked is the entry that had told the member to stop, which this word was about: an intent to isolate it, or the look that showed it
	// writing. 0: it was not revoked, as with an adoption of a group whose member can't be seen.
	Revoked Index `json:",omitempty"`
	Epoch   Epoch // of the group; with an adoption the one that this took
	Saw     string
}

// keepWord keeps a person's word on a member for ever, and tells of it.
func (c *change) keepWord(g *Group, m *Member, about OperationID, by Request, word Proof) {
	kept := Attestation{
		Index: c.entry.Index, Wall: c.entry.Wall, Actor: by.Actor, Reason: by.Reason, Group: g.Name, Member: m.Name,
		Operation: about, Epoch: g.Epoch, Saw: g.lastSights(&c.state, m, c.entry.Wall),
	}
	if m.Authority == AuthorityRevoked {
		kept.Revoked = m.RevokedSince
	}
	c.state.Attestations = append(slices.Clip(c.state.Attestations), kept)
	c.tell(g, MemberAttested, m.Name, "%s vouches that %s does not write: %s", word.By, m.Name, word.Detail)
}

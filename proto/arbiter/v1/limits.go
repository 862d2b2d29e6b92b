package arbiterv1

// MaxMessageBytes is what one message of the API may have: room for the whole view of some thousands of members.
const MaxMessageBytes = 16 << 20

package arbiter

package power

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Fault is how an outlet misbehaves. The zero value is a good outlet.
type Fault struct {
	// Delay passes before each request is dealt with.
	Delay time.Duration
	// Lie makes the outlet say done and off, while the machine keeps running.
	Lie bool
	// Ineffective makes the outlet say done to off, while the machine keeps running and status says on.
	Ineffective bool
	// Gone closes each connection without an answer, as a dead controller does.
	Gone bool
	// Hang takes each request and never answers.
	Hang bool
	// FailOff makes this many requests for off fail before one works.
	FailOff int
}

// parseFault reads key=value words: delay=2s lie=true ineffective=true gone=true hang=true fail_off=2.
func parseFault(words []string) (Fault, error) {
	var f Fault
	flags := map[string]*bool{"lie": &f.Lie, "ineffective": &f.Ineffective, "gone": &f.Gone, "hang": &f.Hang}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch {
		case key == "delay":
			f.Delay, err = time.ParseDuration(value)
		case key == "fail_off":
			f.FailOff, err = strconv.Atoi(value)
		case flags[key] != nil:
			*flags[key], err = strconv.ParseBool(value)
		default:
			err = fmt.Errorf("unknown key; use delay, lie, ineffective, gone, hang or fail_off")
		}
		if err != nil {
			return Fault{}, fmt.Errorf("parse fault %q: %w", word, err)
		}
	}
	return f, nil
}

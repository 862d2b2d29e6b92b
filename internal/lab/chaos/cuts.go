package chaos

import (
	"context"
	"slices"
	"sync"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// cuts are the partitions under way. They overlap: a direction works again when the last one that cuts it is healed.
type cuts struct {
	site *hosts.Site

	mu   sync.Mutex
	next int
	all  map[int][]hosts.Direction
}

// make puts one more partition in force and returns how to heal it.
func (c *cuts) make(ctx context.Context, directions []hosts.Direction) (heal func(context.Context) error, err error) {
	c.mu.Lock()
	id := c.next
	c.next++
	c.mu.Unlock()
	heal = func(ctx context.Context) error { return c.change(ctx, func() { delete(c.all, id) }) }
	return heal, c.change(ctx, func() { c.all[id] = directions })
}

func (c *cuts) change(ctx context.Context, edit func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	edit()
	var directions []hosts.Direction
	for _, cut := range c.all {
		directions = append(directions, cut...)
	}
	return c.site.DropOnly(ctx, directions)
}

// directionsBetween is everything that two sides send each other.
func directionsBetween(left, right []*hosts.Host) []hosts.Direction {
	var directions []hosts.Direction
	for _, a := range left {
		for _, b := range right {
			directions = append(directions, hosts.Direction{From: a, To: b}, hosts.Direction{From: b, To: a})
		}
	}
	return directions
}

// ringDirections let each host of the ring hear itself and the hosts after it that make a majority with it.
func ringDirections(ring []*hosts.Host) []hosts.Direction {
	majority := len(ring)/2 + 1
	var directions []hosts.Direction
	for i, h := range ring {
		for ahead := majority; ahead < len(ring); ahead++ {
			directions = append(directions, hosts.Direction{From: ring[(i+ahead)%len(ring)], To: h})
		}
	}
	return directions
}

// others are all hosts but some.
func others(all []*hosts.Host, but ...*hosts.Host) []*hosts.Host {
	return slices.DeleteFunc(slices.Clone(all), func(h *hosts.Host) bool { return slices.Contains(but, h) })
}

package explore

import "sync"

// seenSet remembers which states were come to, and from where. It is shared by all workers.
type seenSet struct{ shards []shard }

type shard struct {
	mutex sync.Mutex
	keys  map[key]origin
}

func newSeenSet() seenSet {
	s := seenSet{shards: make([]shard, 64)}
	for i := range s.shards {
		s.shards[i].keys = map[key]origin{}
	}
	return s
}

func (s seenSet) shard(k key) *shard { return &s.shards[int(k[0])%len(s.shards)] }

// add says whether the state was not there before.
func (s seenSet) add(k key, from origin) bool {
	part := s.shard(k)
	part.mutex.Lock()
	defer part.mutex.Unlock()
	if _, there := part.keys[k]; there {
		return false
	}
	part.keys[k] = from
	return true
}

func (s seenSet) has(k key) bool {
	_, there := s.origin(k)
	return there
}

func (s seenSet) origin(k key) (origin, bool) {
	part := s.shard(k)
	part.mutex.Lock()
	defer part.mutex.Unlock()
	o, there := part.keys[k]
	return o, there
}

func (s seenSet) len() int {
	n := 0
	for i := range s.shards {
		s.shards[i].mutex.Lock()
		n += len(s.shards[i].keys)
		s.shards[i].mutex.Unlock()
	}
	return n
}

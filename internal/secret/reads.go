package secret

import "sync"

// reads are those that are under way, by what is asked. The zero value has none. Whoever gives up waiting leaves nothing behind: a file system may
// hang for days, and the files on it are asked for every second.
type reads struct {
	mutex    sync.Mutex
	underWay map[string]*read
}

// read is one that everybody waits for who asks the same.
type read struct {
	done  chan struct{} // closed once there are value and err
	value any
	err   error
}

// share is the read of what is asked: the one that is under way, or else a new one.
func (r *reads) share(asked string, ask func() (any, error)) *read {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if one := r.underWay[asked]; one != nil {
		return one
	}
	if r.underWay == nil {
		r.underWay = map[string]*read{}
	}
	one := &read{done: make(chan struct{})}
	r.underWay[asked] = one
	go func() {
		one.value, one.err = ask()
		r.mutex.Lock()
		delete(r.underWay, asked) // who asks from now on gets what is there now
		r.mutex.Unlock()
		close(one.done)
	}()
	return one
}

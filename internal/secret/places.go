package secret

import (
	"fmt"
	"sync"
)

// Bounds of how many reads there may be at once. Each that hangs keeps a thread. One folder has fewer places than all together, so that a file
// system that hangs does not take those of the others.
const (
	readsAtOnce         = 64
	readsAtOnceInFolder = 16
)

// places are those of the reads that are under way. The zero value is all free.
type places struct {
	mutex   sync.Mutex
	taken   chan struct{}
	folders map[string]*folderPlaces
}

type folderPlaces struct {
	asking int // of them and those who wait: with nobody left it is forgotten
	taken  chan struct{}
}

// take waits for a place for as long as it takes.
func (p *places) take(folder string) (free func()) {
	p.mutex.Lock()
	if p.taken == nil {
		p.taken, p.folders = make(chan struct{}, readsAtOnce), map[string]*folderPlaces{}
	}
	in := p.folders[folder]
	if in == nil {
		in = &folderPlaces{taken: make(chan struct{}, readsAtOnceInFolder)}
		p.folders[folder] = in
	}
	in.asking++
	p.mutex.Unlock()
	in.taken <- struct{}{}
	p.taken <- struct{}{}
	return func() {
		<-p.taken
		<-in.taken
		p.mutex.Lock()
		defer p.mutex.Unlock()
		if in.asking--; in.asking == 0 {
			delete(p.folders, folder)
		}
	}
}

// full says why no read of a folder is begun, if that is so.
func (p *places) full(folder string) string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch in := p.folders[folder]; {
	case in != nil && len(in.taken) == readsAtOnceInFolder:
		return fmt.Sprintf(" (%d reads in %s have not ended, and no more are begun)", readsAtOnceInFolder, folder)
	case len(p.taken) == readsAtOnce:
		return fmt.Sprintf(" (%d reads have not ended, and no more are begun)", readsAtOnce)
	}
	return ""
}

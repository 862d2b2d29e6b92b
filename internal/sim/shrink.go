package sim

// Shrink takes items out of a plan as long as the same check still fails, and returns the smallest plan that it found, with its result.
func Shrink(p *Plan, check string) (*Plan, Result) {
	fails := func(items []Item) (Result, bool) {
		smaller := *p
		smaller.Items = items
		r := Play(&smaller, false)
		return r, r.Violation != nil && r.Violation.Check == check
	}
	items := append([]Item(nil), p.Items...)
	for size := max(len(items)/2, 1); ; size /= 2 {
		for at := 0; at < len(items); {
			without := append(append([]Item(nil), items[:at]...), items[min(at+size, len(items)):]...)
			if _, ok := fails(without); ok {
				items = without
				continue
			}
			at += size
		}
		if size <= 1 {
			break
		}
	}
	smallest := *p
	smallest.Items = items
	return &smallest, Play(&smallest, true)
}

package probe

import "container/heap"

// queue holds all tasks in the order in which their next looks are due. It implements heap.Interface.
type queue []*task

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool { return q[i].due() < q[j].due() }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface; use set.
func (q *queue) Push(x any) {
	t := x.(*task)
	t.place = len(*q)
	*q = append(*q, t)
}

// Pop implements heap.Interface; use drop.
func (q *queue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	t.place = -1
	return t
}

// set puts a task where its due time belongs.
func (q *queue) set(t *task) {
	if t.place < 0 {
		heap.Push(q, t)
		return
	}
	heap.Fix(q, t.place)
}

func (q *queue) drop(t *task) {
	if t.place >= 0 {
		heap.Remove(q, t.place)
	}
}

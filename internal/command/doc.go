//go:build linux

// Package command runs other people's programs for drivers (fence agents, command routers) and leaves nothing of them
// behind.
//
// Guarantees, for every call of Run:
//   - The program and its children form a process group of their own. When the call ends, for whatever reason, the whole
//     group is killed, and Run returns only after its last process has ended (S15: the losers of a race end before the
//     operation does).
//   - When the arbiter itself dies, even by SIGKILL, the group dies at once: the program by its parent-death signal, and
//     its children by a guard, a shell that waits for the end of a pipe which only the arbiter holds open.
//   - The call ends within its time limit or with its context, whichever is first.
//   - Input goes to standard input only, so nothing secret is seen in the list of processes; the environment is a short
//     list of harmless variables, so that secrets in the arbiter's own environment reach nobody.
//   - Output is kept up to a bound and read to its end beyond it, so that a talkative program neither blocks nor fills the memory.
//
// Limits: a process that makes a session of its own (setsid) leaves the group and is not followed. What a program has
// asked another machine to do may still happen after it was killed. A process that hangs inside the kernel can't be
// killed by anybody: Run gives up on it some seconds after its time limit and says so (ErrStuck). A Runner doesn't start
// the same again before it has ended.
//
// Goroutines: one per call, with an operating system thread of its own while the program runs, and two that read its output; all
// end before Run returns, except with ErrStuck: then one waits until the last process has ended.
package command

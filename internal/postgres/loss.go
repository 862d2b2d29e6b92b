package postgres

import (
	"net"
	"time"
)

// lossBound is how long after the last sign of the other machine a connection is taken for lost.
const lossBound = 20 * time.Second

// NoticeLoss makes a TCP connection end within 20 s when the other machine is gone, or the network has forgotten the flow: while it is idle, and while
// something that was sent is not acknowledged, for which the kernel would else wait a quarter of an hour. It fails only for a connection that is
// lost already, which shows soon enough; so it returns nothing.
func NoticeLoss(conn net.Conn) {
	if tcp, is := conn.(*net.TCPConn); is {
		endAfter(tcp, lossBound)
	}
}

func endAfter(conn *net.TCPConn, silence time.Duration) {
	_ = conn.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: silence / 4, Interval: silence / 4, Count: 3})
	limitUnacknowledged(conn, silence)
}

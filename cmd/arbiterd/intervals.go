package main

import "time"

// fencePathEvery is how often each arbiter asks every fence device for its status.
const fencePathEvery = 30 * time.Second

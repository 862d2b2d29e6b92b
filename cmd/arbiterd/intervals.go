package main

import "time"

// fencePathEvery is how often each arbiter asks every fence device for its status.
const fencePathEvery = 30 * time.Second

// routesEvery is how often the arbiter that leads looks whether routers send clients to the primaries.
const routesEvery = 10 * time.Second

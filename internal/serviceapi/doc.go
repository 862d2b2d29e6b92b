// Package serviceapi is the HTTP/JSON contract that a service, or an adapter beside it, offers to be protected by the
// engine "http": the documents and paths of docs/http-engine.md, and a client. The probe, the engine, and the stand-in
// service of the laboratory share it, so that they can't drift apart.
//
// Guarantees: what a service refuses is a *Refusal, whose code says why. MayHaveActed says of every error whether the order may
// have been carried out: a Refusal with a status below 500 promises that it was not. No error repeats a password.
//
// Limits: HTTP/1.1, one address per member, no proxy, no redirects. TLS is on or off: unlike libpq there is no mode that
// tries one and then the other.
//
// Goroutines: those of net/http, ended by Client.Close.
package serviceapi

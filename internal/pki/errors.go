package pki

import (
	"errors"
	"slices"
)

var (
	// ErrBadIdentity says that an identity is malformed, missing, or says more than this version understands.
	ErrBadIdentity = errors.New("bad identity in certificate")
	// ErrOtherCluster says that a certificate belongs to another cluster.
	ErrOtherCluster = errors.New("certificate of another cluster")
	// ErrWrongRole says that the peer is known, and that somebody else is needed here.
	ErrWrongRole = errors.New("certificate with the wrong role or name")
	// ErrExpired says that a certificate is not valid at this time.
	ErrExpired = errors.New("certificate not valid now")
	// ErrUntrusted says that a certificate was not issued by the cluster's authority, or not for this use.
	ErrUntrusted = errors.New("certificate not trusted")
	// ErrBadFiles says that the files of a certificate can't be used: unreadable, not matching, or with too open a mode.
	ErrBadFiles = errors.New("certificate files can't be used")
	// ErrExists says that a file is there already and was left as it is.
	ErrExists = errors.New("file exists")
)

// Refuses says whether an error is about a certificate that was looked at and not accepted. Trying again does not help then.
func Refuses(err error) bool {
	return slices.ContainsFunc([]error{ErrBadIdentity, ErrOtherCluster, ErrWrongRole, ErrExpired, ErrUntrusted}, func(kind error) bool {
		return errors.Is(err, kind)
	})
}

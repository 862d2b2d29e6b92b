package secret

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// largestFile is the most that is read of one file, in bytes: bundles of certificates are the largest ones.
const largestFile = 4 << 20

var (
	// ErrNotInTime: whoever asked for a file stopped waiting before it was read.
	ErrNotInTime = errors.New("not read in time; its file system is slow or hangs")
	// ErrNotAFile: the path leads to a directory, a device or a pipe.
	ErrNotAFile = errors.New("not a regular file")
	// ErrTooLarge: the file holds more than what it is named for can be.
	ErrTooLarge = errors.New("file is too large")
	// ErrNoCertificate: a file of certificates has none that can be read.
	ErrNoCertificate = errors.New("it holds no certificate in PEM form")
)

// Reader reads what settings refer to. A process has one, which its parts share; the zero value may be used, by several goroutines.
//
// Nothing ends a read on a file system that hangs, and it keeps a thread. So a file has one read at a time, whose answer is shared by all who ask
// meanwhile; each of them stops waiting when its own context ends. There are at most readsAtOnce reads, and others wait for one of them to end.
type Reader struct {
	// Open replaces how a file is read, and Stat how one is looked at; nil: in this machine's file systems. Tests set them.
	Open   func(path string) (File, error)
	Stat   func(path string) (fs.FileInfo, error)
	reads  reads
	places places
}

// File is a file as it was read. It is shared: nobody changes it.
type File struct {
	Content []byte
	Mode    fs.FileMode
}

// Within limits how long files are waited for; what is not read in time says so by the limit.
func Within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not answer within %s", limit))
}

// ReadFile reads a regular file of at most 4 MiB. The error names the path; it is ErrNotInTime if the context ended first.
func (r *Reader) ReadFile(ctx context.Context, path string) ([]byte, error) {
	file, err := r.Read(ctx, path)
	return file.Content, err
}

// Read is ReadFile for those who also look at who may read the file.
func (r *Reader) Read(ctx context.Context, path string) (File, error) {
	file, err := r.read(ctx, path)
	if err != nil {
		return File{}, fmt.Errorf("read %s: %w", path, err)
	}
	return file, nil
}

// KeyPair reads a certificate and its key, both in PEM form. The error is one of ReadFile, or names both paths.
func (r *Reader) KeyPair(ctx context.Context, certificate, key string) (tls.Certificate, error) {
	chain, err := r.ReadFile(ctx, certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := r.ReadFile(ctx, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(chain, private)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read certificate %s and key %s: %w", certificate, key, err)
	}
	return pair, nil
}

// Authorities reads a file of certificates in PEM form, of those who issue others.
func (r *Reader) Authorities(ctx context.Context, path string) (*x509.CertPool, error) {
	pem, err := r.ReadFile(ctx, path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read %s: %w", path, ErrNoCertificate)
	}
	return pool, nil
}

// read leaves it to the caller to name the path.
func (r *Reader) read(ctx context.Context, path string) (File, error) {
	open := r.Open
	if open == nil {
		open = openFile
	}
	return await(ctx, r, "read", path, open)
}

// Info looks at a file, or whatever else is there, without reading it. The error names the path; it is ErrNotInTime if the context ended first.
func (r *Reader) Info(ctx context.Context, path string) (fs.FileInfo, error) {
	stat := r.Stat
	if stat == nil {
		stat = os.Stat
	}
	info, err := await(ctx, r, "look at", path, stat)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, withoutPath(err))
	}
	return info, nil
}

// await waits for what is asked of a path, now or already by others.
func await[T any](ctx context.Context, r *Reader, what, path string, ask func(string) (T, error)) (T, error) {
	folder := filepath.Dir(path)
	answer := r.reads.share(what+" "+path, func() (any, error) {
		defer r.places.take(folder)()
		return ask(path)
	})
	var none T
	select {
	case <-answer.done:
		if answer.err != nil {
			return none, answer.err
		}
		return answer.value.(T), nil
	case <-ctx.Done():
		return none, fmt.Errorf("%w%s: %w", ErrNotInTime, r.places.full(folder), context.Cause(ctx))
	}
}

func openFile(path string) (File, error) {
	info, err := os.Stat(path) // before opening: opening a pipe would wait for its writer
	if err != nil {
		return File{}, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return File{}, ErrNotAFile
	}
	file, err := os.Open(path)
	if err != nil {
		return File{}, withoutPath(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, largestFile+1))
	if err != nil {
		return File{}, withoutPath(err)
	}
	if len(content) > largestFile {
		return File{}, ErrTooLarge
	}
	return File{Content: content, Mode: info.Mode()}, nil
}

// withoutPath drops the operation and the path of a file error, since the caller names the path already.
func withoutPath(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

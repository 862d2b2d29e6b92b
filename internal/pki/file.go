package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile writes a small file so that a crash at any moment leaves either the old or the new content, whole, and so that
// the new content is on disk when it returns: temporary file, sync, rename, sync of the folder. The file has the given mode
// from its first moment. Without replace, an existing file is left as it is and the error is ErrExists.
func WriteFile(path string, data []byte, mode fs.FileMode, replace bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	temporary, err := writeTemporary(path, data, mode)
	if err != nil {
		return err
	}
	if replace {
		err = os.Rename(temporary, path)
	} else {
		// A link fails where a file exists, which a rename does not: two writers can't both succeed.
		err = os.Link(temporary, path)
		if errors.Is(err, fs.ErrExist) {
			err = ErrExists
		}
	}
	if err != nil || !replace {
		err = errors.Join(err, os.Remove(temporary))
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// writeTemporary writes and syncs a file beside path, and removes it again if that fails.
func writeTemporary(path string, data []byte, mode fs.FileMode) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := file.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		return "", err
	}
	if _, err := file.Write(data); err != nil {
		return "", err
	}
	return file.Name(), file.Sync()
}

// syncFolder makes the names in a folder survive a crash. Windows has no such call and doesn't need it.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

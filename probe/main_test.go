package probe

import (
	"os"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab/standin/standintest"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

func TestMain(m *testing.M) {
	os.Exit(standintest.Main(func() int { return postgrestest.Main(m) }))
}

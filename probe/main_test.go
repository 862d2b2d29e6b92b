package probe

import (
	"os"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

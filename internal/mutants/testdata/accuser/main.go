// Command accuser finds fault with whatever it is asked.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("seed 7 at 1.5s: two-writers: m1 and m2")
	os.Exit(1)
}

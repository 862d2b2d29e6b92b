// Command broken fails, and names nothing that does not hold.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("no space left on device")
	os.Exit(1)
}

// Command etcd is etcd's own server: upstream keeps its main package in a
// module of the repository root that cannot be required.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}

// Command vcsim serves govmomi's vCenter simulator for the interop tests.
//
// It prints one JSON line with its address once it answers, and ends on SIGTERM, SIGINT or end of its standard input,
// so that it never outlives the test run that started it.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/vmware/govmomi/simulator"

	_ "github.com/vmware/govmomi/vapi/simulator"
)

// ready is the line that tells the starter where the simulator listens.
type ready struct {
	Address  string `json:"address"`
	Username string `json:"username"`
	Password string `json:"password"`
	PID      int    `json:"pid"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vcsim:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("address", "127.0.0.1:0", "host:port to listen on; port 0 lets the system choose")
	username := flag.String("username", "administrator@vsphere.local", "the only user that may log in")
	password := flag.String("password", "", "password of that user (required)")
	vms := flag.Int("vms", 3, "virtual machines per resource pool")
	hosts := flag.Int("hosts", 2, "hosts in the cluster")
	standalone := flag.Int("standalone", 1, "standalone hosts, outside every cluster")
	temp := flag.String("temp", "", "folder for the simulator's datastores (default: a new one, removed at the end)")
	flag.Parse()
	if *password == "" {
		return fmt.Errorf("-password must be given")
	}

	// Before anything is made or said: from the ready line on, a signal must find the clean end.
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	dir := *temp
	if dir == "" {
		made, err := os.MkdirTemp("", "vcsim-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(made)
		dir = made
	}
	// The model puts its datastores under the temporary folder and forgets it when killed: keep everything in one place.
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return err
	}

	model := simulator.VPX()
	model.Machine = *vms
	model.ClusterHost = *hosts
	model.Host = *standalone
	model.Folder = 0
	defer model.Remove()
	if err := model.Create(); err != nil {
		return err
	}
	model.Service.Listen = &url.URL{Host: *address, User: url.UserPassword(*username, *password)}
	model.Service.TLS = new(tls.Config)
	model.Service.RegisterEndpoints = true

	server := model.Service.NewServer()
	defer server.Close()

	line, err := json.Marshal(ready{server.URL.Host, *username, *password, os.Getpid()})
	if err != nil {
		return err
	}
	fmt.Println(string(line))

	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop <- syscall.SIGTERM
	}()
	<-stop
	return nil
}
